"""Which function binds which operator."""

from shared.kql.bind import (
    expand,
    joins,
    nesting,
    parsing,
    plugins,
    scanning,
    searching,
    series,
    shape,
    summarize,
    unions,
)
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
    ast.Search: searching.search,
    ast.Find: searching.find,
    ast.Evaluate: plugins.evaluate,
    ast.TopNested: nesting.top_nested,
    ast.TopHitters: nesting.top_hitters,
    ast.Fork: nesting.fork,
    ast.Facet: nesting.facet,
    ast.Scan: scanning.scan,
    ast.ParseKv: parsing.parse_kv,
    ast.MakeSeries: series.make_series,
}

SOURCES: dict[type, SourceBinder] = {
    ast.Project: shape.print_,
    ast.Range: shape.range_,
    ast.Search: searching.search_source,
    ast.Find: searching.find_source,
    ast.Evaluate: plugins.evaluate_source,
    ast.Union: unions.union_source,
}
