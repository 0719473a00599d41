"""The prompts that several sections share. Others are in report/report.toml."""

PHOTO = "a high quality photo"  # stands for "any natural image" in 1.3 to 1.7.2
UNCONDITIONAL = ""  # the unconditional prompt of classifier-free guidance
