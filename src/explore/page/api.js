// Questions to the server. A newer question of the same kind aborts the older one, so that nothing piles up there.

const running = {};

export async function ask(name, parameters = {}, kind = name) {
  running[kind]?.abort();
  running[kind] = new AbortController();
  return read(await fetch(address(name, parameters), { signal: running[kind].signal }));
}

// Give up on all answers that are still to come.
export function forget() {
  Object.values(running).forEach((one) => one.abort());
}

export function address(name, parameters) {
  return `api/${name}?${new URLSearchParams(parameters)}`;
}

export async function upload(file) {
  return read(await fetch(`upload?${new URLSearchParams({ name: file.name })}`, { method: "POST", body: file }));
}

async function read(response) {
  if (response.ok) return response.json();
  const text = await response.text();
  try {
    throw new Error(JSON.parse(text).error);
  } catch (error) {
    throw error instanceof SyntaxError ? new Error(`${response.status} ${text}`) : error;
  }
}
