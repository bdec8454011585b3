"""The document room: what there is to read, who asked for it, who may fetch it until when, and who did."""
