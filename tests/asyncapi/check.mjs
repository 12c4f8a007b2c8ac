// AsyncAPI's own parser on the generated document: `npm install && npm run check` in this folder.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const file = process.argv[2];
const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'), { source: file });
for (const found of diagnostics) console.log(found.code, found.message, found.path.join('.'));
if (!document) process.exit(1);
console.log(`valid: ${document.channels().all().length} channels, ${document.operations().all().length} operations`);
