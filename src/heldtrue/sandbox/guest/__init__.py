"""What runs beside the customer's code, inside the walls: the standard library and guest packages only."""
