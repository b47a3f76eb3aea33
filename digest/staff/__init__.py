"""Who stands at the desk: roles, the second factor, limits on tries, and what was done."""
