"""The walls, as they are built inside the zygote's interpreter: the standard library only, nothing of the rest of the house."""
