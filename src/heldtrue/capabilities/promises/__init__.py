"""What was promised to be delivered, what arrived, and how endpoints answer."""
