// What is remembered from page to page and from day to day, where the browser allows it.

/** What was kept under this name; null where nothing was. */
export function kept(name) {
  try {
    return localStorage.getItem(`logtrick.${name}`);
  } catch {
    return null;
  }
}

/** Keep some text; false where the browser keeps nothing. */
export function keep(name, text) {
  try {
    localStorage.setItem(`logtrick.${name}`, text);
    return true;
  } catch {
    return false;
  }
}
