//! How the page looks: one style sheet, every colour named once for light and once for dark.
//!
//! Class colours are those of Okabe and Ito, which stay apart for people with any of the usual colour deficiencies; the
//! map tells classes apart by shape as well.

/// How many class colours there are.
pub(crate) const N_COLOURS: usize = 8;

/// The style sheet.
pub(crate) const STYLE: &str = r#"
:root{color-scheme:light dark;
--paper:#fcfcfa;--card:#fff;--ink:#1c1f23;--soft:#5b626b;--line:#e3e4e0;--grid:#ecece8;
--lead:#1b62b5;--second:#b4530a;--faint:#b9c0c8;--wrong:#b3261e;--heat:#1b62b5;--right:#009e73;--more:#1b62b5;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#b58900;--c5:#56b4e9;--c6:#1c1f23;--c7:#8a8f96}
@media (prefers-color-scheme:dark){:root{
--paper:#14161a;--card:#1b1e23;--ink:#e7e9ec;--soft:#a3abb5;--line:#2e3339;--grid:#292d33;
--lead:#7db4ff;--second:#f2a25c;--faint:#4d555f;--wrong:#ff8f85;--heat:#3f78c4;--right:#1c7f62;--more:#7db4ff;
--c0:#4aa3e0;--c1:#f08a3c;--c2:#2fc79a;--c3:#e39ac4;--c4:#f0c93a;--c5:#9bd6fb;--c6:#e7e9ec;--c7:#7c838c}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;font-variant-numeric:tabular-nums}
header,main,footer{max-width:1080px;margin:0 auto;padding:0 20px}
header{padding-top:44px}
h1{overflow-wrap:anywhere;font-size:1.75rem;line-height:1.2;margin:0 0 6px;font-weight:650;letter-spacing:-.01em}
h2{font-size:1.2rem;line-height:1.3;margin:0 0 4px;font-weight:650}
h3{font-size:.95rem;margin:0 0 8px;font-weight:600}
p{margin:0 0 14px;max-width:70ch}
.lede,.note,figcaption,.none{color:var(--soft)}
.note,figcaption,.none{font-size:.875rem;line-height:1.5}
.key+.note,.scroll+.note,.pair+.note,figure+.note,.thumbs+.note,.none+.note{margin-top:12px}
.none{border-left:3px solid var(--line);padding:2px 0 2px 12px;margin:6px 0 0}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:20px 0 0;padding:12px 0;border-top:1px solid var(--line);border-bottom:1px solid var(--line);font-size:.875rem}
a{color:var(--lead);text-decoration:none}
a:hover{text-decoration:underline}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--lead);outline-offset:2px}
section{padding:34px 0 6px;scroll-margin-top:8px}
bdi.name{display:inline-block;max-width:18ch;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;vertical-align:bottom}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:12px;margin:24px 0 0;padding:0;list-style:none}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.01em;white-space:nowrap}
.tile span{color:var(--soft);font-size:.8125rem;line-height:1.35;display:block}
.tile.first{border-color:var(--lead)}
.tile.first b{font-size:2.5rem;line-height:1.1;color:var(--lead)}
@media (min-width:800px){.tiles{grid-template-columns:repeat(5,1fr)}}
@media (min-width:640px){.tile.first{grid-row:span 2;grid-column:span 2;display:flex;flex-direction:column;justify-content:center}.tile.first b{font-size:3.25rem}}
@media (max-width:639px){.tile.first{grid-column:1/-1}}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:22px 28px;margin-top:16px}
.pair.narrow{grid-template-columns:repeat(auto-fit,minmax(min(100%,280px),380px))}
figure{margin:0;min-width:0}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{fill:var(--soft);font-size:11px;font-family:inherit}
svg .strong{fill:var(--ink)}
.rule{stroke:var(--grid);stroke-width:1}
.axis{stroke:var(--faint);stroke-width:1}
.ideal{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3;fill:none}
.curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.ghost{fill:none;stroke:var(--faint);stroke-width:1;opacity:.6}
.lead{stroke:var(--lead)}.second{stroke:var(--second);stroke-dasharray:5 3}

.key{display:flex;flex-wrap:wrap;gap:4px 14px;margin:8px 0 0;padding:0;list-style:none;font-size:.8125rem;color:var(--soft)}
.key li{display:flex;align-items:center;gap:6px;min-width:0}
.key svg{width:22px;height:12px;flex:none}
.scroll{--edge:14px;display:flex;overflow-x:auto;margin-top:14px;width:calc(100% + var(--edge))}
.scroll table{flex:none}
.scroll::after{content:"";flex:none;width:var(--edge);margin-left:calc(-1*var(--edge));position:sticky;right:0;order:2;pointer-events:none;background:linear-gradient(to left,var(--more) 2px,color-mix(in srgb,var(--more) 50%,transparent) 2px,transparent)}
.scroll::before{content:"";flex:none;width:var(--edge);order:1;position:relative;z-index:1;background:var(--paper)}
table{border-collapse:collapse;font-size:.875rem;line-height:1.35}
caption{text-align:left;color:var(--soft);font-size:.8125rem;padding-bottom:6px}
th,td{padding:6px 10px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
thead th{font-weight:600;color:var(--soft);vertical-align:bottom}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.left,th.left{text-align:left}
tbody th{font-weight:500}
.heat td{--share:0%;background:color-mix(in srgb,var(--heat) var(--share),var(--card));border:2px solid var(--paper);border-radius:6px;text-align:center;padding:8px 10px;min-width:76px}
.heat th{border:0;text-align:right}
.heat thead th{text-align:center}
.heat small{display:block;font-size:.75rem}
.heat td.chosen{outline:2px solid var(--ink);outline-offset:-1px}
.heat td.off{background:none;color:var(--soft);box-shadow:inset 0 0 0 1px var(--line)}
.heat.matrix td{min-width:0;width:36px;min-width:30px;padding:5px 2px;font-size:.8125rem;border-width:1px;border-radius:3px}
.heat.matrix.tints td{--cell:22px;width:var(--cell);min-width:var(--cell);height:var(--cell);padding:0;border-radius:2px}
.heat.matrix.tints td:empty:not([style]){background:color-mix(in srgb,var(--grid) 55%,var(--paper))}
.heat.matrix.tints thead th,.heat.matrix.tints tfoot th{font-weight:500}
.heat.matrix.small td{--cell:12px}
.heat.matrix.small th{font-size:.6875rem;line-height:1;padding-top:0;padding-bottom:0}
.heat.matrix.tints tbody tr:hover th{color:var(--lead)}
.heat.matrix.small thead th,.heat.matrix.small tfoot th{padding:0}
.heat.matrix tfoot th{font-weight:600;color:var(--soft);vertical-align:top;padding:6px 2px 0}
.heat.matrix td.right{--heat:var(--right)}
.heat.matrix td.zero{color:var(--c7)}
.heat.matrix thead th{padding:0 2px 6px;height:0;vertical-align:bottom}
.heat.matrix th.corner{position:sticky;left:0;z-index:1;background:var(--paper);text-align:left;font-weight:400;font-size:.75rem;padding-right:8px}
.heat.matrix thead bdi,.heat.matrix tfoot bdi{writing-mode:vertical-rl;transform:rotate(180deg);max-width:none;max-height:14ch;display:inline-block;text-align:left;line-height:1.2}
.heat.matrix tbody th{padding:2px 8px 2px 0;text-align:left;position:sticky;left:0;background:var(--paper)}
.heat.matrix tbody bdi{max-width:13ch}
.bar{display:inline-block;width:64px;height:6px;border-radius:3px;background:var(--grid);margin-left:8px;vertical-align:middle;overflow:hidden}
.bar i{display:block;height:100%;background:var(--lead);border-radius:3px}
@media (max-width:639px){.bar{display:none}th,td{padding:6px 7px}.heat td{min-width:58px;padding:7px 3px}}
.thumbs{display:grid;grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:18px 16px;margin:16px 0 0;padding:0;list-style:none}
.thumbs.twins{grid-template-columns:repeat(auto-fill,minmax(220px,1fr))}
.thumbs li{min-width:0;font-size:.8125rem;line-height:1.4}
.thumbs img{display:block;width:100%;height:auto;aspect-ratio:1;object-fit:contain;background:var(--card);border:1px solid var(--line);border-radius:6px;margin-bottom:6px}
.thumbs img.pixels{image-rendering:pixelated}
.thumbs .two{display:grid;grid-template-columns:1fr 1fr;gap:6px}
.thumbs div{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.thumbs .two div{white-space:normal}.thumbs .two .id{white-space:nowrap}
.thumbs bdi.name{max-width:100%}
.id{color:var(--soft);font-size:.75rem}
.bad{color:var(--wrong);font-weight:600}
dl{display:grid;grid-template-columns:minmax(120px,max-content) minmax(0,1fr);gap:6px 20px;margin:14px 0 0;font-size:.875rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code,pre{font:.8125rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px;margin:14px 0 0;white-space:pre-wrap;overflow-wrap:anywhere}
details{margin-top:14px}summary{cursor:pointer;color:var(--lead);font-size:.875rem}
footer{color:var(--soft);font-size:.8125rem;padding-top:36px;padding-bottom:48px}
@media (max-width:639px){header{padding-top:28px}header,main,footer{padding-left:16px;padding-right:16px}h1{font-size:1.45rem}section{padding-top:28px}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}}
@media print{nav,.scroll::after,.scroll::before{display:none}section{break-inside:avoid}}
"#;
