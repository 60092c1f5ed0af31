// The theme puts a landmark, a `nav` without a name, around each copy button; it becomes a `div`.
const mend = () => {
    for (const nav of document.querySelectorAll("nav.md-code__nav")) {
        const plain = document.createElement("div");
        plain.className = nav.className;
        plain.append(...nav.childNodes);
        nav.replaceWith(plain);
    }
};
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
