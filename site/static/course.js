// Excerpts of search results come from the article alone; the theme's own buttons and menus would stand in them otherwise.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const text = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const article = new DOMParser().parseFromString(html, "text/html").querySelector("article.bd-article");
    return text(article ? `<div role="main">${article.outerHTML}</div>` : html, anchor);
  };
});
