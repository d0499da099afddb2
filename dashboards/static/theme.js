// Runs before the first paint: a remembered theme wins over the system's. Without one, and
// without JavaScript, the system's is used.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; then nothing is remembered.
}
