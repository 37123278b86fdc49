/** The licences of what the bundle contains, as their authors ask for. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BundledPackage } from './bundle.ts';

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;

/** One text: packages that share the very same licence text stand together above it. */
export function thirdPartyLicenses(root: string, packages: readonly BundledPackage[]): string {
  const byText = new Map<string, string[]>();
  for (const one of packages) {
    const text = licenceText(join(root, one.folder));
    byText.set(text, [...(byText.get(text) ?? []), `${one.name} ${one.version}`]);
  }
  const rule = '-'.repeat(80);
  const sections = [...byText].map(
    ([text, names]) => `${rule}\n${names.join('\n')}\n${rule}\n\n${text.trim()}\n`,
  );
  return `model-fetch contains code of the packages below, each under its own licence.\n\n${sections.join('\n')}`;
}

function licenceText(folder: string): string {
  const texts = readdirSync(folder)
    .filter((file) => LICENCE_FILE.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim());
  if (texts.length) return texts.join('\n\n');
  const { license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    license?: string;
  };
  if (!license) throw new Error(`${folder} states no licence; it must not be shipped`);
  return `(no licence text comes with the package; its package.json says ${license})`;
}
