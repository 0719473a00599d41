"""DeepFloyd IF, the cascade of the assignment.

    cascade            the model: three stages; the loops of the first two are this report's own
    text_projections   the first UNet, with what depends on the text alone computed once
    text               encodes each prompt once with T5, which leaves memory before a UNet is loaded
    weights            location, revision, variant and completeness of the weights
    hub                fetches them from the Hugging Face Hub, and handles its failures
    disk               networks whose weights are read from disk when needed
    machine            this machine's resources, the placement of the stages, and what a forward costs
    course_embeddings  precomputed embeddings that replace T5
    plan               requirements, present files, actions and time; refuses what cannot work

This module imports none of them, so that `report status` starts fast.
"""

import os

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # otherwise it reports the missing torchvision at every start
