"""Which function binds which operator."""

from shared.kql.bind import expand, joins, parsing, series, shape, summarize, unions
from shared.kql.bind.tables import OperatorBinder, SourceBinder
from shared.kql.syntax import ast

OPERATORS: dict[type, OperatorBinder] = {
    ast.Where: shape.where,
    ast.Project: shape.project,
    ast.Reorder: shape.reorder,
    ast.Sort: shape.sort,
    ast.Top: shape.top,
    ast.Take: shape.take,
    ast.Count: shape.count,
    ast.Sample: shape.sample,
    ast.As: shape.as_,
    ast.GetSchema: shape.getschema,
    ast.Render: shape.render,
    ast.Consume: shape.consume,
    ast.Invoke: shape.invoke,
    ast.Summarize: summarize.summarize,
    ast.Join: joins.join,
    ast.Union: unions.union,
    ast.MvExpand: expand.mv_expand,
    ast.MvApply: expand.mv_apply,
    ast.Partition: expand.partition,
    ast.Parse: parsing.parse,
    ast.ParseKv: parsing.parse_kv,
    ast.MakeSeries: series.make_series,
}

SOURCES: dict[type, SourceBinder] = {
    ast.Project: shape.print_,
    ast.Range: shape.range_,
    ast.Union: unions.union_source,
}
