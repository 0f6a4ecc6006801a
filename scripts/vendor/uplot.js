// uPlot: time series charts.
export { default } from "uplot";
