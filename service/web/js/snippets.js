/** The current settings as code: the same fields that the page sends. Pure functions. */

/**
 * @typedef {import("./request.js").TextField | import("./request.js").FileField} Field
 * @typedef {object} Place
 * @property {string} url Of `/stylize`.
 * @property {string | null} sample Address of the photo, if it is the page's own.
 * @property {boolean} needsKey
 * @property {boolean} isJob
 * @property {string} output Name of the file to write.
 */

/** A word of a shell's command line. */
const shell = (/** @type {string} */ text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A file of a form, as curl reads its name. */
const curlFile = (/** @type {string} */ name) =>
  /^[\w./-]+$/.test(name) ? `@${name}` : `@"${name.replace(/["\\]/g, "\\$&")}"`;

/**
 * For a shell.
 * @param {Field[]} fields
 * @param {Place} place
 */
export function curl(fields, { url, sample, needsKey, isJob, output }) {
  const options = fields.map((field) => `-F ${shell(`${field.name}=${"value" in field ? field.value : curlFile(field.file.name)}`)}`);
  if (needsKey) options.unshift('-H "Authorization: Bearer $STYLIZE_KEY"');
  const first = isJob ? "curl -H 'Prefer: respond-async'" : `curl -o ${shell(output)}`;
  const lines = [first, ...options, url].join(" \\\n  ");
  const before = sample ? `curl -O ${sample}\n` : "";
  const after = isJob ? `\n# It answers with a job; when that has succeeded: curl -o ${shell(output)} ${new URL("jobs/ID/result", url)}` : "";
  return before + lines + after;
}

/**
 * For Python, with httpx.
 * @param {Field[]} fields
 * @param {Place} place
 */
export function python(fields, { url, sample, needsKey, isJob, output }) {
  const text = (/** @type {string} */ value) => JSON.stringify(value);
  const opened = (/** @type {any} */ file) =>
    sample && file.role === "content" ? `httpx.get(${text(sample)}).content` : `open(${text(file.name)}, "rb").read()`;
  const files = fields.flatMap((field) => ("file" in field ? [`    (${text(field.name)}, (${text(field.file.name)}, ${opened(field.file)})),`] : []));
  const texts = fields.flatMap((field) => ("value" in field ? [`    ${text(field.name)}: ${text(field.value)},`] : []));
  const ids = fields.flatMap((field) => ("value" in field && field.name === "style_id" ? [text(field.value)] : []));
  const data = [...texts.filter((line) => !line.startsWith('    "style_id"')), ...(ids.length ? [`    "style_id": [${ids.join(", ")}],`] : [])];
  const headers = [
    ...(needsKey ? ['"Authorization": f"Bearer {os.environ[\'STYLIZE_KEY\']}"'] : []),
    ...(isJob ? ['"Prefer": "respond-async"'] : []),
  ];
  const imports = [...(needsKey ? ["import os"] : []), ...(isJob ? ["import time"] : []), ...(needsKey || isJob ? [""] : []), "import httpx", ""];
  const client = headers.length ? `httpx.Client(timeout=120, headers={${headers.join(", ")}})` : "httpx.Client(timeout=120)";
  return [
    ...imports,
    `client = ${client}`,
    "files = [", ...files, "]",
    "data = {", ...data, "}",
    `answer = client.post(${text(url)}, files=files, data=data)`,
    "answer.raise_for_status()",
    ...(isJob ? jobLines(url) : []),
    `open(${text(output)}, "wb").write(answer.content)`,
    "",
  ].join("\n");
}

/** @param {string} url */
function jobLines(url) {
  return [
    "job = answer.json()",
    'while job["state"] in ("queued", "running"):',
    "    time.sleep(1)",
    `    job = client.get(${JSON.stringify(new URL(".", url).href.replace(/\/$/, ""))} + job["links"]["self"]).json()`,
    `answer = client.get(${JSON.stringify(new URL(".", url).href.replace(/\/$/, ""))} + job["links"]["result"])`,
    "answer.raise_for_status()",
  ];
}
