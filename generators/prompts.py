"""The prompts that several sections share."""

PHOTO = "a high quality photo"  # stands for "any natural image" in 1.3 to 1.7.2
UNCONDITIONAL = ""  # the unconditional prompt of classifier-free guidance
ROCKET, PENCIL = "a rocket ship", "a pencil"
OLD_MAN = "an oil painting of an old man"
CAMPFIRE = "an oil painting of people around a campfire"
BARISTA, DOG = "a photo of a hipster barista", "a photo of a dog"
SKULL, WATERFALLS = "a lithograph of a skull", "a lithograph of waterfalls"
LION, TIGER = "a photo of a lion", "a photo of a tiger"
