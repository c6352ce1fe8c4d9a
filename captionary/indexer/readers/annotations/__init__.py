"""What people point at, in the formats of tools that draw regions."""
