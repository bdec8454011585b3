"""Backups: sealed, signed for, and the keystore apart; and the restores that they are made for."""
