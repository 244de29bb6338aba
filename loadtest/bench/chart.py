"""A bar chart as SVG: the median rate of each contestant, with a line from the least to the greatest."""

from html import escape

from loadtest.bench.contestants import OURS
from loadtest.bench.figures import Contest

WIDTH, LABELS, FIGURES = 760, 250, 90
ROW, BAR, TOP = 30, 18, 44
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2937 } .title { font-weight: 600; font-size: 14px }
  .bar { fill: #94a3b8 } .ours { fill: #2563eb } .spread { stroke: #0f172a; stroke-width: 1.5 } .back { fill: #fff }
  @media (prefers-color-scheme: dark) { text { fill: #e5e7eb } .bar { fill: #64748b } .ours { fill: #60a5fa }
    .spread { stroke: #f8fafc } .back { fill: #111827 } }
"""


def chart(contest: Contest) -> str:
    """Return the drawing of a contest, the fastest first."""
    names = sorted(contest.turns, key=lambda name: -contest.rate(name).median)
    longest = max(contest.rate(name).most for name in names)
    height = TOP + ROW * len(names) + 10
    title = f"{contest.title}: {contest.operation}s a second"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}" rx="6"/>',
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
    ]
    for row, name in enumerate(names):
        lines += _row(contest, name, TOP + row * ROW, (WIDTH - LABELS - FIGURES) / longest)
    return "\n".join([*lines, "</svg>", ""])


def _row(contest: Contest, name: str, top: int, scale: float) -> list[str]:
    rate = contest.rate(name)
    middle = top + BAR / 2
    begin, end = LABELS + rate.least * scale, LABELS + rate.most * scale
    kind = "bar ours" if name.startswith(OURS) else "bar"
    return [
        f'<text x="{LABELS - 10}" y="{middle + 4.5:g}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{rate.median * scale:.1f}" height="{BAR}" rx="2"/>',
        f'<line class="spread" x1="{begin:.1f}" x2="{end:.1f}" y1="{middle:g}" y2="{middle:g}"/>',
        f'<text x="{end + 8:.1f}" y="{middle + 4.5:g}">{rate.median:,.0f}</text>',
    ]
