// Runs before the first paint, so that a chosen theme never flashes.
try {
  const chosen = localStorage.getItem('reeve.theme')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
} catch {
  // Storage is denied: the system's theme it is.
}
