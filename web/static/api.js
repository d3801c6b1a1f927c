// Calls to the server. A lost network is an answer like any other: status 0.

const ROOT = "/api/v1/";

/**
 * @param {string} method
 * @param {string} path below /api/v1/
 * @param {object} [body]
 * @param {{keepalive?: boolean}} [options]
 * @returns {Promise<{status: number, body: any}>}
 */
export async function call(method, path, body, { keepalive = false } = {}) {
  const headers = { Accept: "application/json", "X-Xiangyin": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let reply;
  try {
    reply = await fetch(ROOT + path, {
      method,
      headers,
      keepalive,
      credentials: "same-origin",
      cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    return { status: 0, body: null };
  }
  try {
    return { status: reply.status, body: reply.status === 204 ? null : await reply.json() };
  } catch {
    return { status: reply.ok ? 0 : reply.status, body: null }; // cut off in the middle, or a proxy's page
  }
}

/** Fill `{name}` in a sentence. */
export function fill(sentence, values = {}) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The data that the page carries for its script. */
export function pageData(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

/** An element with text and attributes; text is never parsed as markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
