package rest

// Keys answers how many keys a limiter remembers.
func (l *Limiter) Keys() int { return len(l.keys) }
