//! The figures at saturation as a picture.

use std::error::Error;
use std::path::Path;

use plotters::coord::ranged1d::SegmentedCoord;
use plotters::prelude::*;
use tests::measure::Spread;

use crate::Series;
use crate::load::{Figure, Load};
use crate::server::Server;

/// Draws both figures at saturation, by fan-out, as parts of the floor's.
pub(crate) fn draw(file: &Path, all: &[Series]) -> Result<(), Box<dyn Error>> {
    let saturated: Vec<(usize, &Series)> = all
        .iter()
        .filter_map(|series| match series.load {
            Load::Saturated { fan_out, .. } => Some((fan_out, series)),
            Load::Paced { .. } => None,
        })
        .collect();
    let root = SVGBackend::new(file, (900, 380)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(450);
    panel(&left, "CPU time per forward, by that of sendto (less is better)", &saturated, |o| o.cpu_us)?;
    panel(&right, "Forwards a second, by those of sendto (more is better)", &saturated, |o| o.forwards)?;
    root.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    saturated: &[(usize, &Series)],
    figure: Figure,
) -> Result<(), Box<dyn Error>> {
    let groups = i32::try_from(saturated.len())?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(36)
        .build_cartesian_2d((0..groups * 3).into_segmented(), 0.0..1.5)?;
    let label = |x: &SegmentValue<i32>| match x {
        SegmentValue::CenterOf(x) if x % 3 == 1 => {
            usize::try_from(x / 3).ok().and_then(|group| saturated.get(group)).map(|(n, _)| n.to_string())
        }
        _ => None,
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(usize::try_from(groups * 3)?)
        .x_label_formatter(&|x| label(x).unwrap_or_default())
        .x_desc("fan-out")
        .y_labels(7)
        .draw()?;
    chart.draw_series([PathElement::new(
        vec![(SegmentValue::Exact(0), 1.0), (SegmentValue::Exact(groups * 3), 1.0)],
        BLACK.stroke_width(2),
    )])?;
    for (count, colour) in [(1, RGBColor(0x1f, 0x77, 0xb4)), (2, RGBColor(0xff, 0x7f, 0x0e))] {
        let bars = saturated.iter().zip(0..).map(|((_, series), group)| {
            (group * 3 + count, series.ratio(Server::Workers(usize::try_from(count).unwrap_or(1)), figure))
        });
        let bars: Vec<(i32, Spread)> = bars.collect();
        let name = if count == 1 { "1 worker" } else { "2 workers" };
        chart
            .draw_series(bars.iter().map(|(x, ratio)| bar(*x, ratio.middle, colour)))?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
        chart.draw_series(bars.iter().map(|(x, ratio)| {
            let x = SegmentValue::CenterOf(*x - 1);
            PathElement::new(vec![(x.clone(), ratio.low), (x, ratio.high)], BLACK)
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

type Segments = SegmentedCoord<plotters::coord::types::RangedCoordi32>;

fn bar(
    x: i32,
    height: f64,
    colour: RGBColor,
) -> Rectangle<(<Segments as plotters::coord::ranged1d::Ranged>::ValueType, f64)> {
    let mut bar = Rectangle::new(
        [(SegmentValue::Exact(x - 1), 0.0), (SegmentValue::Exact(x), height)],
        colour.filled(),
    );
    bar.set_margin(0, 0, 4, 4);
    bar
}
