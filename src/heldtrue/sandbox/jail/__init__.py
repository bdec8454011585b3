"""The walls, as they are built inside the zygote's interpreter, of the standard library only."""
