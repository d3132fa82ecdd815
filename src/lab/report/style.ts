/** Light and dark by the reader's preference; colours told apart also by the colour-blind. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1b1f24; --quiet: #5b6470; --rule: #e3e6ea; --axis: #9aa3ad;
  --rate: #2a6fdb; --area: #2a6fdb22;
  --failure: #c9252d; --detection: #c9252d14; --exploration: #e08a0030;
  --establishment: #6b7480; --keepalive: #159c8f; --exploring: #e07b00; --inboundok: #8b4fd1;
  --operational: #2a6fdb; --good: #1a7f37;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --ink: #e6e9ec; --quiet: #98a2ad; --rule: #2b3036; --axis: #68717b;
    --rate: #6ea8ff; --area: #6ea8ff2b;
    --failure: #ff6b6b; --detection: #ff6b6b1c; --exploration: #ffae3d30;
    --establishment: #a3adb8; --keepalive: #3fd0c1; --exploring: #ffa23a; --inboundok: #bd8cff;
    --operational: #6ea8ff; --good: #4cc46a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 8px; }
h2 { font-size: 19px; margin: 44px 0 4px; }
h3 { font-size: 14px; margin: 20px 0 0; }
h2::first-letter { text-transform: uppercase; }
p { margin: 4px 0 12px; max-width: 78ch; }
.about, .note, figcaption, details { color: var(--quiet); }
.note { font-size: 13px; }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--failure); font-weight: 600; padding-left: 20px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 12px 0; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--rule);
  white-space: nowrap; vertical-align: top; }
thead th { color: var(--quiet); font-weight: 500; font-size: 13px; }
tbody th { font-weight: 600; }
details table { font-size: 13px; }
summary { cursor: pointer; }
figure { margin: 12px 0 8px; }
svg { display: block; min-width: 720px; width: 100%; height: auto; }
svg text { fill: var(--quiet); font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; }
svg .panel { fill: var(--ink); font-weight: 600; }
svg .unit { fill: var(--quiet); font-weight: 400; }
svg .tick { font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--rule); }
svg .axis { stroke: var(--axis); }
svg .rate { fill: none; stroke: var(--rate); stroke-width: 1.5; stroke-linejoin: round; }
svg .area { fill: var(--area); }
svg .failure { stroke: var(--failure); stroke-width: 1.5; stroke-dasharray: 4 3; }
svg .failure-label { fill: var(--failure); font-weight: 600; }
svg rect.detection { fill: var(--detection); }
svg rect.exploration { fill: var(--exploration); }
svg .arrow { stroke: currentColor; stroke-width: 1.5; fill: none; }
svg .head { fill: currentColor; }
svg text.label { fill: currentColor; }
svg .message { stroke-width: 2; stroke: currentColor; fill: currentColor; fill-opacity: 0.75; }
svg .message.lost { fill: var(--page); fill-opacity: 1; }
.establishment { color: var(--establishment); } .keepalive { color: var(--keepalive); }
.exploring { color: var(--exploring); } .inboundok { color: var(--inboundok); }
.operational { color: var(--operational); }
figcaption { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; padding-left: 8.75%; }
figcaption span { display: inline-flex; align-items: center; gap: 6px; }
i.dot { width: 10px; height: 10px; border-radius: 50%; border: 2px solid currentColor;
  background: currentColor; }
i.dot.lost { background: none; color: var(--quiet); }
i.band { width: 14px; height: 12px; }
i.band.detection { background: var(--detection); outline: 1px solid var(--rule); }
i.band.exploration { background: var(--exploration); }
`;
