"""DeepFloyd IF, the cascade that the assignment is about.

    cascade   the model: three stages, of which the first two are this report's own loops over their UNets
    text      prompts to embeddings, once, by a T5 that is gone from memory before a UNet comes
    weights   where the weights are, in which revision and form, and whether they are whole
    hub       fetching them from the Hugging Face Hub, and what can go wrong with that
    disk      networks whose weights wait on disk, and come when their turn does
    machine   what this machine has, and how the stages share it
    course_embeddings  embeddings made elsewhere, in T5's place
    random_weights  the cascade in its real sizes with random weights, for `make full-size`
    plan      what is needed, what there is, what will be done, and how long it takes; refuses what cannot work

Of these only `cascade` and `text` decide what a picture looks like, so only they count where staleness is concerned.
This file imports neither, so that `report status` starts fast.
"""

import os

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # else it notes at every start that torchvision is not here
