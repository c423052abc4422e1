"""Inline SVG: bars, histograms, spark lines, the loss curve. Colours are classes: both themes share one drawing.

Bars stretch with their cell and hold no text; charts with text keep their shape and are drawn near the size at which
they are read on a phone (360 units wide), so that labels stay legible there.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from datakit.reporting.figures import EDGES, LengthChart, Lengths
from datakit.reporting.labels import plain

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 10, 24
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM


def bar(parts: Sequence[tuple[str, float, str]], total: float) -> Markup:
    """One stretching bar of (class, value, tooltip) parts; `total` is the value at full width."""
    drawn, x = [], 0.0
    for kind, value, tip in parts:
        width = 1000 * value / total if total else 0.0
        if value and width < 3:
            width = 3.0  # a handful among millions is still there to be seen
        if width:
            drawn.append(
                Markup('<rect class="{}" x="{}" y="0" width="{}" height="10"><title>{}</title></rect>').format(
                    kind, _n(x), _n(min(width, 1000 - x)), tip
                )
            )
        x = min(1000.0, x + width)
    track = Markup('<rect class="track" x="0" y="0" width="1000" height="10"/>')
    inner = Markup("").join(drawn)
    return Markup(
        '<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{}{}</svg>'
    ).format(track, inner)


def spark(counts: Sequence[int]) -> Markup:
    """A small histogram without axes."""
    top, step = max([*counts, 1]), 120 / max(1, len(counts))
    bars = [
        Markup('<rect x="{}" y="{}" width="{}" height="{}"/>').format(
            _n(place * step), _n(24 - 23 * count / top), _n(step - 0.8), _n(23 * count / top)
        )
        for place, count in enumerate(counts)
        if count
    ]
    return Markup('<svg class="spark" viewBox="0 0 120 24" aria-hidden="true">{}</svg>').format(Markup("").join(bars))


def length_chart(chart: LengthChart) -> Markup:
    """Lengths on a logarithmic axis: the last series filled, one before it as an outline."""
    filled = [place for one in chart.series for place, count in enumerate(one.counts) if count]
    first, last = max(0, min(filled) - 1), min(len(EDGES) - 2, max(filled) + 1)
    top = max(max(one.counts) for one in chart.series)
    step = PLOT_WIDTH / (last - first + 1)
    body = [_y_axis(top), _length_axis(first, last, step)]
    for place, one in enumerate(chart.series):
        outline = place == 0 and len(chart.series) > 1
        body.append(_outline(one, first, last, step, top) if outline else _columns(one, first, last, step, top))
    # The outline is drawn last, or the columns would hide it.
    order = [*body[:2], *reversed(body[2:])]
    return _svg(plain(chart.name), Markup("").join(order))


def histogram(name: str, bins: Sequence[tuple[str, float, str]]) -> Markup:
    """Columns of (label, value, tooltip), the largest as high as the chart; the label stands below its column."""
    top, step = max(value for _, value, _ in bins), PLOT_WIDTH / len(bins)
    body = [_rule(TOP + PLOT_HEIGHT)]
    every = max(1, len(bins) // 6)  # more labels than that run into each other on a phone
    for place, (label, value, tip) in enumerate(bins):
        x, tall = LEFT + place * step, PLOT_HEIGHT * value / top if top else 0.0
        body.append(
            Markup('<rect class="kept" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                _n(x + 1), _n(TOP + PLOT_HEIGHT - tall), _n(step - 2), _n(tall), tip
            )
        )
        if place % every == 0:
            body.append(_text(x + step / 2, HEIGHT - 7, label, "middle"))
    return _svg(plain(name), Markup("").join(body))


def loss_curve(curve: Sequence[dict[str, float]], held_out: Sequence[tuple[float, float]]) -> Markup:
    """Training loss a step (thin), its moving mean (bold), and the held-out loss (dots)."""
    points = [(float(p["step"]), float(p["loss"])) for p in curve]
    mean = _smooth([loss for _, loss in points])
    # The floor of the axis is not zero: a loss falls by tenths, and the labels say where it starts.
    low, high = _bounds([loss for _, loss in (*points, *held_out)])
    final = max(points[-1][0], 1.0)

    def at(step: float, loss: float) -> tuple[float, float]:
        return LEFT + PLOT_WIDTH * step / final, TOP + PLOT_HEIGHT * (high - loss) / (high - low)

    body = [_loss_axes(low, high, final)]
    body.append(_line("thin", [at(*point) for point in points]))
    body.append(_line("bold", [at(step, loss) for (step, _), loss in zip(points, mean, strict=True)]))
    if held_out:
        marks = [at(*point) for point in held_out]
        body.append(_line("held", marks))
        body += [Markup('<circle class="held" cx="{}" cy="{}" r="4"/>').format(_n(x), _n(y)) for x, y in marks]
    return _svg(plain("loss_curve"), Markup("").join(body))


def band_curve(curve: Sequence[tuple[float, float]], threshold: float | None) -> Markup:
    """The share of pairs that the bands bring together, by similarity; the threshold as a line."""

    def at(similarity: float, share: float) -> tuple[float, float]:
        return LEFT + PLOT_WIDTH * similarity, TOP + PLOT_HEIGHT * (1 - share)

    body = []
    for share in (0.0, 0.5, 1.0):
        x, y = at(share, share)
        body += [_rule(y), _text(LEFT - 5, y + 3.5, f"{share:.0%}", "end")]
        body.append(_text(x, HEIGHT - 7, f"{share:.1f}", "end" if share == 1 else "middle"))
    if threshold is not None:
        x, _ = at(threshold, 0)
        body.append(
            Markup('<line class="limit" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(_n(x), TOP, TOP + PLOT_HEIGHT)
        )
        body.append(_text(x - 4, TOP + PLOT_HEIGHT - 6, f"{threshold:g}", "end"))
    body.append(_line("bold", [at(*point) for point in curve]))
    return _svg(plain("band_curve"), Markup("").join(body))


def _columns(one: Lengths, first: int, last: int, step: float, top: int) -> Markup:
    drawn = []
    for place in range(first, last + 1):
        if count := one.counts[place]:
            tall = PLOT_HEIGHT * count / top
            where = f"{EDGES[place]:,} – {EDGES[place + 1] - 1:,}: {count:,}"
            drawn.append(
                Markup('<rect class="kept" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                    _n(LEFT + (place - first) * step + 0.5), _n(TOP + PLOT_HEIGHT - tall), _n(step - 1), _n(tall), where
                )
            )
    return Markup("").join(drawn)


def _outline(one: Lengths, first: int, last: int, step: float, top: int) -> Markup:
    points: list[tuple[float, float]] = [(LEFT, TOP + PLOT_HEIGHT)]
    for place in range(first, last + 1):
        y = TOP + PLOT_HEIGHT - PLOT_HEIGHT * one.counts[place] / top
        points += [(LEFT + (place - first) * step, y), (LEFT + (place - first + 1) * step, y)]
    points.append((LEFT + PLOT_WIDTH, TOP + PLOT_HEIGHT))
    return _line("outline", points)


def _length_axis(first: int, last: int, step: float) -> Markup:
    """Labels at powers of ten; where fewer than two fit, at the ends."""
    places = [place for place in range(first, last + 2) if str(EDGES[place]).strip("0") == "1"]
    if len(places) < 2:
        places = [first, last + 1]
    labels = []
    for place in places:
        x = LEFT + (place - first) * step
        anchor = "end" if x > WIDTH - 24 else "middle"
        labels.append(_text(x, HEIGHT - 7, f"{EDGES[place]:,}", anchor))
        labels.append(_tick(x))
    return Markup("").join(labels)


def _y_axis(top: int) -> Markup:
    marks = sorted({0, top // 2, top} if top > 1 else {0, top})
    lines = []
    for mark in marks:
        y = TOP + PLOT_HEIGHT * (1 - mark / top)
        lines.append(_rule(y))
        lines.append(_text(LEFT - 5, y + 3.5, _short(mark), "end"))
    return Markup("").join(lines)


def _loss_axes(low: float, high: float, final: float) -> Markup:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = TOP + PLOT_HEIGHT * (1 - share)
        parts += [_rule(y), _text(LEFT - 5, y + 3.5, f"{low + share * (high - low):.2f}", "end")]
        x = LEFT + PLOT_WIDTH * share
        parts.append(_text(x, HEIGHT - 7, f"{round(final * share):,}", "end" if share == 1 else "middle"))
    return Markup("").join(parts)


def _smooth(values: Sequence[float]) -> list[float]:
    """Mean over the last tenth of the points (at least three)."""
    window = max(3, len(values) // 10)
    return [sum(part) / len(part) for part in (values[max(0, i - window + 1) : i + 1] for i in range(len(values)))]


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or max(abs(high) * 0.1, 0.1)
    return max(0.0, low - room), high + room


def _line(kind: str, points: Sequence[tuple[float, float]]) -> Markup:
    path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, path)


def _rule(y: float) -> Markup:
    return Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDTH - RIGHT, _n(y), _n(y))


def _tick(x: float) -> Markup:
    y = TOP + PLOT_HEIGHT
    return Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_n(x), _n(x), y, y + 4)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(_n(x), _n(y), anchor, text)


def _svg(label: str, body: Markup) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, escape(label), body
    )


def _short(count: int) -> str:
    """A count that fits an axis: 950, 1.2k, 34k, 5.6M."""
    for size, unit in ((1_000_000, "M"), (10_000, "k")):
        if count >= size:
            value = count / (1_000_000 if unit == "M" else 1000)
            return f"{value:.1f}".removesuffix(".0") + unit if value < 10 else f"{value:.0f}{unit}"
    return f"{count:,}"


def _n(value: float) -> str:
    """A coordinate with two digits at most, so that equal figures give equal bytes."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
