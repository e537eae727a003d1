// Requests to the server that sent the page.

export const API = "v1/";
let collection = ""; // name of the collection that requests are about; "" for the first one of the server

export const useCollection = (name) => (collection = name);

/** Address of `v1/PATH` in the collection of the page. */
export function apiUrl(path) {
  if (!collection) return API + path;
  return `${API}${path}${path.includes("?") ? "&" : "?"}collection=${encodeURIComponent(collection)}`;
}

export class ServerError extends Error {
  constructor(status, text, retryAfter = 0) {
    super(text);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

let person = ""; // whose library the requests mean

export const setPerson = (name) => (person = name);
export const personHeaders = () => (person ? { "X-Askaudio-Person": encodeURIComponent(person) } : {});

/** Request `v1/PATH` and return the JSON of the answer; errors have the server's sentence as their message. */
export async function ask(path, options = {}) {
  let answer;
  try {
    const headers = { ...personHeaders(), ...options.headers };
    answer = await fetch(apiUrl(path), { credentials: "same-origin", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The server does not answer. Is askaudio serve still running?");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const problem = await answer.json().catch(() => ({}));
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  throw new ServerError(answer.status, problem.detail || `The server answered ${answer.status}.`, wait);
}

/** Send JSON; `method` is POST unless another is given. */
export const send = (path, body, method = "POST") =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const clipUrl = (clipId, what = "") => `clips/${encodeURIComponent(clipId)}${what}`;
/** Address of a file, for links and downloads. */
export const fileUrl = (clipId) => apiUrl(clipUrl(clipId, "/audio?download=true"));
