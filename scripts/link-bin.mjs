// Puts `tessera` into node_modules/.bin of a checkout, where npx looks: npm links the commands of dependencies, not a package's own.
import { chmodSync, existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs";

const bin = new URL("../node_modules/.bin/", import.meta.url);
if (existsSync(bin)) {
  const main = new URL("../dist/cli/main.js", import.meta.url);
  chmodSync(main, 0o755);
  rmSync(new URL("tessera", bin), { force: true });
  if (process.platform === "win32")
    writeFileSync(new URL("tessera.cmd", bin), '@node "%~dp0\\..\\..\\dist\\cli\\main.js" %*\r\n');
  else symlinkSync("../../dist/cli/main.js", new URL("tessera", bin));
}
