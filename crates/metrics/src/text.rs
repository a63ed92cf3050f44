//! The text format, and how a family and its samples are put together.

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// What a metric is called, and what it means.
pub(crate) struct Name {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

/// A sample's labels.
pub(crate) type Labels = [(&'static str, String)];

/// All families as text.
pub(crate) fn write(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    let full: Vec<MetricFamily> =
        families.iter().filter(|family| !family.get_metric().is_empty()).cloned().collect();
    // It refuses only a family without a name or without samples, and there is none.
    let _ = TextEncoder::new().encode_utf8(&full, &mut text);
    text
}

pub(crate) fn family(name: &Name, kind: MetricType, samples: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.name.to_owned());
    family.set_help(name.help.to_owned());
    family.set_field_type(kind);
    family.set_metric(samples);
    family
}

pub(crate) fn labelled(labels: &Labels) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.clone());
        pair
    });
    Metric::from_label(pairs.collect())
}

pub(crate) fn counter(labels: &Labels, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

pub(crate) fn gauge(labels: &Labels, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}
