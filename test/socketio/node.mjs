// Runs the functions of peer.mjs for a test: node node.mjs PACKAGES-DIRECTORY.
// Each line of standard input is {"id","on","call","args"}; its answer, in any order,
// is {"id","value"} or {"id","error"}.
import { createRequire } from 'node:module';
import { webcrypto } from 'node:crypto';
import { createInterface } from 'node:readline';
import * as makers from './peer.mjs';

const require = createRequire(`${process.argv[2]}/`);
const objects = new Map();
globalThis.crypto ??= webcrypto; // Node 18 has it under this name only

async function call({ on, call, args }) {
  if (call in makers) { // the first argument is the name of the client's package
    objects.set(on, makers[call](require(args[0]), ...args.slice(1)));
    return true;
  }
  return objects.get(on)[call](...(args ?? []));
}

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line);
  call(c).then((value) => ({ id: c.id, value }), (e) => ({ id: c.id, error: String(e) }))
    .then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
}
process.exit();
