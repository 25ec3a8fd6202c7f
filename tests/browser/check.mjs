// Opens report.html from disk in a real browser, as a reader would, and compares it with report.json.
//
//   node check.mjs PAGE.html REPORT.json [--pictures FOLDER] [--modules NODE_MODULES] [--chromium PROGRAM]
//
// Ends with 1 and a list when anything is off.

import { createRequire } from "node:module";
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [page_file, report_file, ...options] = process.argv.slice(2);
const option = (name, otherwise) => {
  const at = options.indexOf("--" + name);
  return at < 0 ? otherwise : options[at + 1];
};
const modules = resolve(option("modules", "node_modules"));
const require = createRequire(join(modules, "none.js"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const report = JSON.parse(readFileSync(report_file, "utf8"));
const pictures = option("pictures");
if (pictures) mkdirSync(pictures, { recursive: true });

const faults = [];
const expect = (holds, what) => {
  if (!holds) faults.push(what);
};
const count = (n) => n.toLocaleString("en-US");
const dataset = report.kind === "dataset";

const profile = mkdtempSync(join(tmpdir(), "syllabus-browser-"));
const browser = await puppeteer.launch({
  executablePath: option("chromium", "/usr/bin/chromium"),
  headless: true,
  userDataDir: profile,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push("console: " + message.text());
  });
  page.on("pageerror", (error) => faults.push("script: " + error.message));
  const url = pathToFileURL(resolve(page_file)).href;
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) faults.push("request: " + request.url());
  });
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(url, { waitUntil: "load" });
  expect(readFileSync(page_file).length < 2 * 1024 * 1024, "the file is 2 MiB or more");

  // Charts: an area for every source that has a share, a bar for every bucket.
  const areas = (id) => page.$$eval(`#${id} path.area`, (list) => list.length);
  const asked = new Set(), got = new Set();
  for (const phase of report.phases) {
    for (const source of phase.sources) {
      if (source.share_from > 0 || source.share_to > 0) asked.add(source.name);
      if (source.windows > 0) got.add(source.name);
    }
  }
  const group = (names) => new Set([...names].map((name) => report.sources.find((of) => of.name === name).group ?? name));
  const grouped = report.sources.some((source) => source.group);
  expect((await areas("planned-source")) === asked.size, "areas of the planned mix");
  if (grouped) expect((await areas("planned-group")) === group(asked).size, "areas of the planned mix by group");
  if (dataset) {
    expect((await areas("realised-source")) === got.size, "areas of the realised mix");
    if (grouped) expect((await areas("realised-group")) === group(got).size, "areas of the realised mix by group");
    const bars = (id) => page.$$eval(`#${id} rect.bar`, (list) => list.length);
    for (const [id, list] of [
      ["lengths", report.distributions.document_tokens.all],
      ["fragments", report.distributions.window_fragments.all],
      ["times", report.distributions.times_read],
      ["exact-clusters", report.evidence.exact_clusters],
      ["near-clusters", report.evidence.near_clusters],
      ["similarity", report.evidence.similarity],
    ]) {
      expect((await bars(id)) === list.length, `bars of ${id}`);
    }
    expect((await page.$$eval("#natural circle.before", (list) => list.length)) === report.sources.length, "dots of the corpus");
  }
  const borders = await page.$$eval("#planned-source line.border", (list) => list.length);
  expect(borders === report.phases.length - 1, "phase borders");

  // Hover: exact figures.
  const tip = () => page.$eval("#tip", (of) => (of.hidden ? "" : of.innerText));
  const middle = async (id, share) => {
    await page.$eval(`#${id}`, (of) => of.scrollIntoView({ block: "center", behavior: "instant" }));
    const box = await (await page.$(`#${id}`)).boundingBox();
    const scale = box.width / 1040;
    await page.mouse.move(box.x + (46 + share * (1040 - 46 - 132)) * scale, box.y + box.height / 2);
  };
  if (dataset) {
    for (const [number, bin] of report.bins.entries()) {
      if (number % Math.ceil(report.bins.length / 12)) continue;
      const before = report.bins.slice(0, number);
      const tokens = (of) => of.windows * report.phases[of.phase].sequence_length;
      const at = before.reduce((sum, of) => sum + tokens(of), 0) + tokens(bin) / 2;
      await middle("realised-source", at / report.tokens);
      const text = await tip();
      const last = bin.first_window + bin.windows - 1;
      expect(text.includes(`windows ${count(bin.first_window)} to ${count(last)}`), `hover over run ${number}: ${text}`);
      bin.sources.forEach((windows, source) => {
        const line = text.split("\n").find((line) => line.trim().startsWith(report.sources[source].name + "\t"));
        if (windows && bin.sources.filter(Boolean).length <= 24) {
          expect(line?.includes(`${count(windows)} windows`), `hover over run ${number}: ${report.sources[source].name}: ${line}`);
        }
      });
    }
  }
  await middle("planned-source", 0.001);
  const start = await tip();
  for (const source of report.phases[0].sources.filter((of) => of.share_from > 0.01).slice(0, 10)) {
    const line = start.split("\n").find((line) => line.trim().startsWith(source.name + "\t"));
    const shown = parseFloat(line?.split("\t")[1] ?? "-1");
    expect(Math.abs(shown - 100 * source.share_from) < 0.5, `hover over the plan's start: ${source.name}: ${line}`);
  }
  await page.mouse.move(2, 2);
  expect((await tip()) === "", "the tip goes when the pointer leaves");
  await page.$eval(".stack.source .plot", (of) => of.focus());
  await page.keyboard.press("End");
  expect((await tip()).includes(report.phases.at(-1).name), "the End key shows the last phase");
  await page.keyboard.press("Escape");
  const exact = await page.$eval(".tiles dd", (of) => of.title || of.textContent);
  expect(exact === count(report.tokens), `tokens on hover: ${exact}`);

  // Every phase's table has the figures of report.json.
  const tables = await page.$$eval("#phases table", (list) =>
    list.map((table) => [...table.tBodies[0].rows].filter((row) => row.className !== "group").map((row) =>
      [...row.cells].map((cell) => cell.dataset.v ?? cell.textContent))));
  report.phases.forEach((phase, at) => {
    const rows = new Map(tables[at].map((row) => [row[0], row]));
    for (const source of phase.sources) {
      const row = rows.get(source.name);
      expect(
        row && Number(row[1]) === source.share && Number(row[2]) === source.got && Number(row[4]) === source.tokens &&
          Number(row[5]) === source.windows,
        `table of ${phase.name}: ${source.name}: ${row}`,
      );
    }
  });

  // Sorting: largest first, smallest first, as it was.
  const column = (at) => page.$$eval("#sources h2 + .scroll tbody tr", (rows, at) => rows.map((row) => Number(row.cells[at].dataset.v)), at);
  const head = (await page.$$("#sources h2 + .scroll thead button"))[4];
  const original = await column(4);
  const sorted = [...original].sort((a, b) => b - a);
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  await head.evaluate((of) => of.focus());
  await page.keyboard.press("Enter");
  expect(same(await column(4), sorted), "the first time a column is asked for, the largest come first");
  await page.keyboard.press("Enter");
  expect(same(await column(4), [...sorted].reverse()), "the second time the smallest");
  await page.keyboard.press("Enter");
  expect(same(await column(4), original), "the third time as it was");
  await page.$eval("#sources thead button", (of) => of.blur());

  // Both colour schemes, wide and narrow: nothing sticks out, and the accessibility checker is content.
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    const back = await page.$eval("body", (of) => getComputedStyle(of).backgroundColor.match(/\d+/g).map(Number));
    expect(scheme === "dark" ? back[0] < 60 : back[0] > 200, `${scheme}: background ${back}`);
    for (const width of [1280, 390]) {
      await page.setViewport({ width, height: 900 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(wide <= width, `${scheme}, ${width} pixels: the page is ${wide} wide`);
      await page.evaluate(axe);
      const found = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
      for (const of of found.violations) {
        faults.push(`axe, ${scheme}, ${width}: ${of.id}: ${of.help}: ${of.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
      }
      if (pictures) {
        await page.evaluate(() => scrollTo(0, 0));
        await page.screenshot({ path: join(pictures, `${scheme}-${width}.png`), fullPage: true });
      }
    }
  }
  if (pictures) {
    for (const scheme of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width: 1240, height: 1180 });
      await page.screenshot({ path: join(pictures, `top-${scheme}.png`) });
    }
  }
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
for (const fault of faults) console.error(fault);
console.log(`${page_file}: ${faults.length ? faults.length + " faults" : "as it should be"}`);
process.exit(faults.length ? 1 : 0);
