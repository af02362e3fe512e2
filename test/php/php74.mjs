// php74.mjs PACKAGES SRC TESTDATA FILE...: PHP 7.4 itself, compiled to WebAssembly, loads
// every class of SRC, runs offline.php of TESTDATA, and looks at the syntax of each FILE.
// PACKAGES is where npm has installed it. It prints what is wrong, and fails then.
import { createRequire } from 'node:module';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [packages, src, testdata, ...files] = process.argv.slice(2);
const require = createRequire(join(packages, 'x.js'));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { getPHPLoaderModule } = await load('@php-wasm/node-7-4');
const { PHP, loadPHPRuntime } = await load('@php-wasm/universal');
const loader = await getPHPLoaderModule();
const newPHP = async () => new PHP(await loadPHPRuntime(loader));
const faults = [];

const php = await newPHP();
const classes = [];
for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
	if (!entry.isFile()) continue;
	const file = join(entry.parentPath ?? entry.path, entry.name);
	const target = '/src/' + file.slice(src.length + 1);
	php.mkdir(target.slice(0, target.lastIndexOf('/')));
	php.writeFile(target, readFileSync(file));
	classes.push('Roomtide\\' + target.slice(5, -4).replaceAll('/', '\\'));
}
const sql = join(src, '../resources/outbox');
php.mkdir('/resources/outbox');
for (const name of readdirSync(sql)) php.writeFile('/resources/outbox/' + name, readFileSync(join(sql, name)));
php.mkdir('/t');
for (const name of ['lib.php', 'offline.php']) php.writeFile('/t/' + name, readFileSync(join(testdata, name)));
php.writeFile('/t/all.php', `<?php require '/t/offline.php';
foreach (json_decode('${JSON.stringify(classes).replaceAll('\\', '\\\\')}') as $name) {
	class_exists($name) || interface_exists($name) || print("$name is not in its file\\n");
}
echo PHP_VERSION;`);
const ran = await php.run({ scriptPath: '/t/all.php', env: { ROOMTIDE_PHP_SRC: '/src' } });
if (!/^ok\n7\.4\.\d+$/.test(ran.text)) faults.push(ran.text, ran.errors);

for (const file of files) {
	const one = await newPHP();
	one.writeFile('/file.php', readFileSync(file));
	const linted = await one.cli(['php', '-l', '/file.php']);
	if ((await linted.exitCode) !== 0) faults.push(file + ': ' + (await linted.stdoutText));
}
console.log(faults.join('\n') || 'ok ' + classes.length + ' classes');
process.exit(faults.length ? 1 : 0);
