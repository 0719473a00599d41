"""The names of the things in pocket's training pictures, their synonyms, and the icon of each."""

NAMES = """
dog:dog-face lion fox cat:cat-face bear panda rabbit-face pig-face tiger-face zebra sheep:ewe horse-face cow:cow-face
monkey-face koala penguin frog elephant whale tropical-fish octopus butterfly turtle
skull rocket pencil robot trophy fire top-hat coffee:hot-beverage castle house church sailboat airplane automobile
bicycle balloon umbrella key crown star sun crescent-moon snowman:snowman-without-snow christmas-tree
pine-tree:evergreen-tree palm-tree cactus tulip rose sunflower mushroom red-apple strawberry banana pineapple watermelon
pizza hamburger ice-cream birthday-cake guitar ghost alien jack-o-lantern
""".split()

SYNONYMS = {
    "airplane": "a plane", "automobile": "a car", "bicycle": "a bike", "coffee": "a cup of coffee", "dog": "a puppy",
    "fire": "a flame", "hamburger": "a burger", "house": "a home", "jack o lantern": "a pumpkin",
    "pencil": "a yellow pencil", "red apple": "an apple", "robot": "an android", "rocket": "a rocket ship",
    "sheep": "an ewe", "skull": "a human skull", "trophy": "a golden cup", "top hat": "a black hat", "cat": "a kitten",
    "old man": "an elderly man", "man": "a young man", "city": "a skyline",
}  # fmt: skip


def phrase(word: str) -> str:
    """Returns the noun phrase for an icon's name: "a cat" for "cat-face"."""
    words = word.removesuffix("-face").replace("-", " ")
    return ("an " if words[0] in "aeiou" else "a ") + words


NOUNS = {  # icon keys by noun phrase: {"a cat": "cat-face", …}
    phrase(word): key or word for word, _, key in (item.partition(":") for item in NAMES)
}


def synonym(noun: str) -> str | None:
    """Returns another noun phrase for the same thing, "a kitten" for "a cat", if it has one."""
    return SYNONYMS.get(noun.split(" ", 1)[-1])
