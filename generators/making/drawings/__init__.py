"""The drawings that pocket learned from: named things and scenes, in four styles, by chance."""
