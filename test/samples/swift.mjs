// swift.mjs PACKAGES FILE...: parses files of Swift. PACKAGES is where npm has installed the
// parser. It prints what is not Swift, and fails then.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [packages, ...files] = process.argv.slice(2);
const require = createRequire(join(packages, 'x.js'));
const Parser = require('tree-sitter');
const parser = new Parser();
parser.setLanguage(require('tree-sitter-swift'));

const wrong = (node) => (node.isError || node.isMissing ? [node] : node.children.flatMap(wrong));

for (const file of files) {
	const { rootNode } = parser.parse(readFileSync(file, 'utf8'));
	if (!rootNode.hasError) continue;
	process.exitCode = 1;
	for (const { startPosition: at, text } of wrong(rootNode)) console.log(`${file}:${at.row + 1}:${at.column + 1}: ${text.slice(0, 60)}`);
}
