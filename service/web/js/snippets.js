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

/**
 * For JavaScript: a browser, Node or Deno, without any library.
 * @param {Field[]} fields
 * @param {Place} place
 */
export function javascript(fields, { url, sample, needsKey, isJob, output }) {
  const text = (/** @type {string} */ value) => JSON.stringify(value);
  const opened = (/** @type {any} */ file) =>
    sample && file.role === "content" ? `await (await fetch(${text(sample)})).blob()` : `new Blob([await readFile(${text(file.name)})])`;
  const appended = fields.map((field) => ("value" in field
    ? `form.append(${text(field.name)}, ${text(field.value)});`
    : `form.append(${text(field.name)}, ${opened(field.file)}, ${text(field.file.name)});`));
  const headers = [...(needsKey ? ["Authorization: `Bearer ${process.env.STYLIZE_KEY}`"] : []), ...(isJob ? ['Prefer: "respond-async"'] : [])];
  const options = headers.length ? `const headers = { ${headers.join(", ")} };` : "const headers = {};";
  return [
    'import { readFile, writeFile } from "node:fs/promises";',
    "",
    "const form = new FormData();", ...appended, options,
    `let answer = await fetch(${text(url)}, { method: "POST", body: form, headers });`,
    "if (!answer.ok) throw new Error(await answer.text());",
    ...(isJob ? [
      "let job = await answer.json();",
      'while (["queued", "running"].includes(job.state)) {',
      "  await new Promise((resolve) => setTimeout(resolve, 1000));",
      `  job = await (await fetch(${text(below(url))} + job.links.self, { headers })).json();`,
      "}",
      `answer = await fetch(${text(below(url))} + job.links.result, { headers });`,
    ] : []),
    `await writeFile(${text(output)}, Buffer.from(await answer.arrayBuffer()));`,
    "",
  ].join("\n");
}

/** The address that paths of jobs are below. */
const below = (/** @type {string} */ url) => new URL(".", url).href.replace(/\/$/, "");

/** @param {string} url */
function jobLines(url) {
  return [
    "job = answer.json()",
    'while job["state"] in ("queued", "running"):',
    "    time.sleep(1)",
    `    job = client.get(${JSON.stringify(below(url))} + job["links"]["self"]).json()`,
    `answer = client.get(${JSON.stringify(below(url))} + job["links"]["result"])`,
    "answer.raise_for_status()",
  ];
}
