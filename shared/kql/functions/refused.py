"""Functions of Kusto that we know and do not run, with the reason a query is told."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

_GEOMETRY: Final = "geospatial functions are not supported"
_SKETCH: Final = (
    "sketches are not supported; dcount(), count_distinct() and percentile() are exact over the rows"
)
_MODEL: Final = "this statistical model is not supported"
_CLUSTER: Final = "it asks about a Kusto cluster, which there is none of here"
_GEO_DATABASE: Final = "it needs a database of IP locations, which is not part of the suite"
_UNITS: Final = "unit conversions are not supported"
_PLUGIN: Final = "this plugin is not supported"

_GEO: Final = """
geo_angle geo_azimuth geo_closest_point_on_line geo_closest_point_on_polygon
geo_distance_point_to_line geo_distance_point_to_polygon geo_from_wkt geo_geohash_neighbors
geo_geohash_to_central_point geo_geohash_to_polygon geo_h3cell_children geo_h3cell_level geo_h3cell_neighbors
geo_h3cell_parent geo_h3cell_rings geo_h3cell_to_central_point geo_h3cell_to_polygon geo_intersection_2lines
geo_intersection_2polygons geo_intersection_line_with_polygon geo_intersects_2lines geo_intersects_2polygons
geo_intersects_line_with_polygon geo_line_buffer geo_line_centroid geo_line_densify geo_line_interpolate_point
geo_line_length geo_line_locate_point geo_line_simplify geo_line_to_s2cells geo_point_buffer geo_point_in_circle
geo_point_in_polygon geo_point_to_geohash geo_point_to_h3cell geo_point_to_s2cell geo_polygon_area
geo_polygon_buffer geo_polygon_centroid geo_polygon_densify geo_polygon_perimeter geo_polygon_simplify
geo_polygon_to_h3cells geo_polygon_to_s2cells geo_s2cell_neighbors geo_s2cell_to_central_point
geo_s2cell_to_polygon geo_simplify_polygons_array geo_union_lines_array geo_union_polygons_array
geo_line_lookup geo_polygon_lookup
"""


def _because(reason: str, names: str) -> Iterable[tuple[str, str]]:
    return ((name, reason) for name in names.split())


REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    dict(
        sorted(
            (
                *_because(_GEOMETRY, _GEO),
                *_because(
                    _SKETCH,
                    "hll hll_if hll_merge dcount_hll dcount_intersect tdigest tdigest_merge merge_tdigest"
                    " percentile_tdigest percentile_array_tdigest percentrank_tdigest rank_tdigest",
                ),
                *_because(
                    _MODEL,
                    "series_fit_2lines_dynamic series_fit_poly series_periods_detect series_periods_validate series_outliers"
                    " series_fft series_ifft series_mv_ee_anomalies_fl welch_test beta_cdf beta_inv beta_pdf",
                ),
                *_because(
                    _CLUSTER,
                    "current_cluster_endpoint current_database current_principal current_principal_details"
                    " current_principal_is_member_of cursor_after cursor_before_or_at cursor_current extent_id"
                    " extent_tags estimate_data_size row_size cluster database external_table stored_query_result"
                    " materialized_view graph graph_time_travel cosmosdb_sql_request",
                ),
                *_because(_GEO_DATABASE, "geo_info_from_ip_address"),
                *_because(
                    _UNITS,
                    "convert_angle convert_energy convert_force convert_length convert_mass convert_speed"
                    " convert_temperature convert_volume",
                ),
                *_because(
                    _PLUGIN,
                    "active_users_count activity_counts_metrics activity_engagement activity_metrics autocluster"
                    " azure_digital_twins_query_request basket diffpatterns diffpatterns_text funnel_sequence"
                    " funnel_sequence_completion http_request http_request_post infer_storage_schema ipv4_lookup"
                    " ipv6_lookup mysql_request new_activity_metrics postgresql_request preview python r"
                    " rolling_percentile rows_near schema_merge sequence_detect session_count"
                    " sliding_window_counts sql_request ai_embed_text ai_chat_completion",
                ),
                *_because(
                    "it needs the catalogue of browsers that Microsoft keeps, which is not public",
                    "parse_user_agent",
                ),
                *_because("it reaches out to Microsoft Defender", "FileProfile DeviceFromIP SeenBy"),
                *_because("its way of combining hashes is not documented", "hash_many hash_combine"),
                *_because("its bins depend on settings of the query", "bin_auto"),
                *_because("time zones cannot be listed", "datetime_list_timezones"),
                *_because("the shape of its answer depends on all values", "buildschema"),
                *_because("the sessions of a window are not supported", "row_window_session"),
            )
        )
    )
)
