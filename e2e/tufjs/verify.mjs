// A TUF client made of tuf-js: reads a classic TUF repository from a pinned
// root and prints the sha256 of every wanted target as JSON, or fails. Targets
// below images/ have no file: theirs is the one that the metadata states.
//
//	node verify.mjs ROOT-FILE BASE-URL [--as-of TIME] TARGET...

import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [rootFile, baseUrl, ...rest] = process.argv.slice(2);
let targets = rest;
if (rest[0] === '--as-of') {
  setClock(new Date(rest[1]).getTime());
  targets = rest.slice(2);
}
const { Updater } = await import('tuf-js');

const dir = mkdtempSync(join(tmpdir(), 'tufjs-'));
try {
  copyFileSync(rootFile, join(dir, 'root.json'));
  const updater = new Updater({
    metadataDir: dir,
    metadataBaseUrl: `${baseUrl}/metadata`,
    targetDir: dir,
    targetBaseUrl: `${baseUrl}/targets`,
    config: { fetchRetry: 0 },
  });
  await updater.refresh();
  const result = { root: JSON.parse(readFileSync(join(dir, 'root.json'))).signed.version, targets: {} };
  for (const target of targets) {
    const info = await updater.getTargetInfo(target);
    if (!info) {
      throw new Error(`target ${target} not found`);
    }
    if (target.startsWith('images/')) {
      result.targets[target] = info.hashes.sha256;
      continue;
    }
    const data = readFileSync(await updater.downloadTarget(info, join(dir, 'downloaded')));
    result.targets[target] = createHash('sha256').update(data).digest('hex');
  }
  console.log(JSON.stringify(result));
} finally {
  rmSync(dir, { recursive: true, force: true });
}

// setClock lets tuf-js, which knows no reference time, see another one.
function setClock(now) {
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...args) {
      super(...(args.length ? args : [now]));
    }
    static now() {
      return now;
    }
  };
}
