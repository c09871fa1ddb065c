"""What was measured, as a table and as JSON: spreads, ratios, and whether the target was reached."""
import json
import operator
import statistics

OPERATORS = {'<=': operator.le, '>=': operator.ge, '<': operator.lt}


def number(v):
    if v >= 100 or v == 0:
        return f'{v:.0f}'
    return f'{v:.1f}' if v >= 10 else f'{v:.2f}' if v >= 0.1 else f'{v:.4f}'


class Figure:
    def __init__(self, name, title, setup):
        self.name, self.title, self.setup = name, title, setup
        self.series, self.results, self.notes = {}, [], []

    def add(self, label, value):
        """One more run of what the label says."""
        self.series.setdefault(label, []).append(value)

    def median(self, label):
        return statistics.median(self.series[label]) if self.series.get(label) else None

    def result(self, text, value, target=None, limit=None):
        """A number made of the series; target is one of OPERATORS, limit what it is compared with."""
        if value is not None:
            self.results.append({'what': text, 'value': value, 'target': f'{target} {limit:g}' if target else None,
                                 'reached': OPERATORS[target](value, limit) if target else None})

    def ratio(self, text, a, b, target=None, limit=None):
        """How many times series b series a is, by their medians."""
        a, b = self.median(a), self.median(b)
        self.result(text, a / b if a is not None and b else None, target, limit)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def text(self):
        out = ['', f'{self.title}  [{self.name}]', f'  {self.setup}']
        if self.series:
            out.append(f'  {"":50} {"min":>9} {"median":>9} {"max":>9}')
        for label, values in self.series.items():
            out.append(f'  {label:50} ' + ' '.join(f'{number(v):>9}' for v in
                                                   (min(values), statistics.median(values), max(values))))
        for r in self.results:
            verdict = f'   target {r["target"]}: {"reached" if r["reached"] else "NOT REACHED"}' if r['target'] else ''
            out.append(f'  = {r["what"]:60} {number(r["value"]):>9}{verdict}')
        out += [f'  ! {n}' for n in self.notes]
        return '\n'.join(out)

    def markdown(self):
        """Rows of the table in doc/benchmarks.md."""
        out = [f'| **{self.title}** (`{self.name}`) | | | | |']
        for label, values in self.series.items():
            spread = [number(v) for v in (min(values), statistics.median(values), max(values))]
            out.append(f'| {label} | ' + (' | '.join(spread) if len(values) > 1 else f'| {spread[1]} |') + ' | |')
        for r in self.results:
            verdict = f'{r["target"]}: {"reached" if r["reached"] else "not reached"}' if r['target'] else ''
            out.append(f'| {r["what"]} | | {number(r["value"])} | | {verdict} |')
        return out + [f'| {n} | | | | |' for n in self.notes if 'left out' in n]

    def data(self):
        return {'name': self.name, 'title': self.title, 'setup': self.setup, 'series': self.series, 'results': self.results,
                'notes': self.notes}


class Report:
    def __init__(self, machine):
        self.machine, self.figures = machine, []

    def add(self, figure):
        self.figures.append(figure)
        print(figure.text(), flush=True)

    def summary(self):
        with_target = [r for f in self.figures for r in f.results if r['target']]
        reached = sum(r['reached'] for r in with_target)
        return f'{reached} of {len(with_target)} targets reached'

    def write_doc(self, path):
        """Puts the figures into a page, in place of all that stands below its heading 'Measured'."""
        with open(path) as f:
            head, heading, _ = f.read().partition('\n## Measured\n')
        if not heading:
            raise ValueError(f'{path} has no heading "## Measured"')
        about = '; '.join(f'{k.replace("_", " ")} {v}' for k, v in self.machine.items())
        with open(path, 'w') as f:
            f.write(f'{head}{heading}\n{about}.\n\n| | min | median | max | target |\n|---|---|---|---|---|\n')
            f.write('\n'.join(row for figure in self.figures for row in figure.markdown()) + '\n')

    def write(self, path):
        with open(path, 'w') as f:
            json.dump({'machine': self.machine, 'figures': [x.data() for x in self.figures]}, f, indent=1)
            f.write('\n')
