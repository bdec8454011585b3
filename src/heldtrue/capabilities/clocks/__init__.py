"""Business clocks: deadlines and elapsed time in business days and hours, by country and time zone."""
