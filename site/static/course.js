// Take excerpts of search results from the article only; otherwise they would include the theme's buttons and menus.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const text = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const article = new DOMParser().parseFromString(html, "text/html").querySelector("article.bd-article");
    return text(article ? `<div role="main">${article.outerHTML}</div>` : html, anchor);
  };
});
