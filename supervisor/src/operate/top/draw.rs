//! A page of `bmctl top` on a screen of any size: what does not fit to the right is cut, what does not fit below is counted.
//! Pure: it draws into a buffer and decides nothing of what a page says.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::model::{Body, CALLS, Page, Tone, WORKERS, Words};

/// Lines without those of the lists: the cluster, two headings, the services.
const FIXED: usize = 4;
/// From so many lines on there is room for empty ones.
const ROOMY: usize = 16;
/// From so many columns on they stand further apart.
const WIDE: u16 = 100;

/// What may be used to make a difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Colours.
    pub(super) colours: bool,
}

impl Look {
    fn style(self, tone: Tone) -> Style {
        let colour = match tone {
            Tone::Plain => return Style::new(),
            _ if !self.colours => return Style::new(),
            Tone::Good => Color::Green,
            Tone::Soon => Color::Yellow,
            Tone::Bad => Color::Red,
        };
        Style::new().fg(colour)
    }

    fn span(self, words: &Words) -> Span<'_> {
        Span::styled(&*words.text, self.style(words.tone))
    }

    fn line<'a>(self, words: &'a [Words]) -> Line<'a> {
        let mut line = Line::default();
        for words in words {
            line.push_span(self.span(words));
            line.push_span("  ");
        }
        line
    }
}

/// Draws the whole page.
pub(super) fn draw(page: &Page, look: Look, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut lines = vec![look.line(&page.head)];
    match &page.body {
        Ok(body) => lines.extend(below(body, look, area)),
        Err(why) => {
            let text = format!("{why}\n\nq ends");
            let [_, rest] = Layout::vertical([Constraint::Length(2), Constraint::Fill(1)]).areas(area);
            frame.render_widget(Paragraph::new(text.trim_start()).wrap(Wrap { trim: true }), rest);
        }
    }
    for (line, row) in lines.into_iter().zip(area.rows()) {
        frame.render_widget(line, row);
    }
}

fn below<'a>(body: &'a Body, look: Look, area: Rect) -> Vec<Line<'a>> {
    let height = usize::from(area.height);
    let roomy = height >= ROOMY;
    let gap = || roomy.then(Line::default);
    let calls = body.calls.as_ref().map_or(0, Vec::len);
    let room = height.saturating_sub(FIXED + if roomy { 3 } else { 0 });
    // Workers first, but calls keep a third of the room.
    let workers_room = body.workers.len().min(room - calls.min(room / 3));
    let spacing = if area.width < WIDE { 1 } else { 2 };
    let mut lines = Vec::from_iter(gap());
    lines.extend(table(WORKERS, &body.workers, workers_room, spacing, look));
    lines.extend(gap());
    let mut services = look.line(&body.services);
    services.push_span("(q ends)");
    lines.push(services);
    lines.extend(gap());
    match &body.calls {
        Ok(calls) => lines.extend(table(CALLS, calls, room - workers_room, spacing, look)),
        Err(why) => lines.push(Line::from(look.span(why))),
    }
    lines
}

/// The heading of a table, and as many rows as have room; where not all have, the last line says how many more there are.
fn table<'a, const N: usize>(
    heading: [&'static str; N],
    rows: &'a [[Words; N]],
    room: usize,
    spacing: usize,
    look: Look,
) -> Vec<Line<'a>> {
    let fits = rows.len() <= room;
    let shown = &rows[..if fits { rows.len() } else { room.saturating_sub(1) }];
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = shown.iter().map(|row| row[column].text.chars().count());
        cells.chain([heading[column].len()]).max().unwrap_or(0) + spacing
    });
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let cell = |text: &str, column: usize| format!("{text:<width$}", width = widths[column]);
    let mut lines = vec![
        heading
            .iter()
            .enumerate()
            .map(|(column, text)| Span::styled(cell(text, column), bold))
            .collect::<Line<'_>>(),
    ];
    lines.extend(shown.iter().map(|row| {
        row.iter()
            .enumerate()
            .map(|(column, words)| Span::styled(cell(&words.text, column), look.style(words.tone)))
            .collect::<Line<'_>>()
    }));
    if !fits && room > 0 {
        lines.push(Line::from(format!("and {} more", rows.len() - shown.len())));
    }
    lines
}

#[cfg(test)]
mod tests {
    use control::Error;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    use super::super::example::{calls, model, status};
    use super::super::model::Model;
    use super::*;

    fn screen(model: &Model, (width, height): (u16, u16), colours: bool) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(&model.page(), Look { colours }, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let area = *buffer.area();
        let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..area.height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn an_ordinary_terminal_shows_all_of_a_small_cluster() {
        let shown = lines(&screen(&model(Ok(status(2)), Ok(calls(3))), (80, 24), true));
        let expected = [
            "ready  pid 999  version 0.1.0  up 1h 2m 5s  contexts 800  calls 12",
            "",
            "slot node  pid  core state shards contexts calls lag p99 restarts last end",
            "0    25011 1000 0    ready 32     400      6     -       0        -",
            "1    25012 1001 1    ready 32     400      6     -       1        SIGKILL",
            "",
            "services  pid 998  ready  registry  ready  events  ready  (q ends)",
            "",
            "source  destination kind  from   slot worker seconds state",
            "2621372 91          group 262137 2    0      2.2     carried",
            "2621371 91          group 262137 2    0      1.2     refused: somebody else talk",
            "2621370 91          group 262137 2    0      0.2     carried",
        ];
        assert_eq!(shown[..12], expected);
        assert!(shown[12..].iter().all(String::is_empty));
    }

    #[test]
    fn lists_that_are_too_long_say_how_many_more() {
        let shown = lines(&screen(&model(Ok(status(40)), Ok(calls(100))), (120, 24), true));
        let more: Vec<&str> =
            shown.iter().map(String::as_str).filter(|line| line.starts_with("and")).collect();
        assert_eq!(more, ["and 29 more", "and 96 more"], "{shown:#?}");
        assert_eq!(shown[23], "and 96 more");
        let few = lines(&screen(&model(Ok(status(2)), Ok(calls(100))), (80, 24), true));
        assert_eq!(few[23], "and 86 more", "calls take what workers leave");
    }

    #[test]
    fn no_size_is_too_small() {
        let full = model(Ok(status(40)), Ok(calls(100)));
        let none = model(Err(Error::NotRunning { dir: "/x".into() }), Ok(vec![]));
        let deaf = model(Ok(status(1)), Err(Error::NoServices { dir: "/x".into() }));
        for model in [&full, &none, &deaf, &Model::default()] {
            for width in [1, 10, 80] {
                for height in 1..24 {
                    screen(model, (width, height), true);
                }
            }
        }
        assert_eq!(lines(&screen(&full, (10, 3), true)), ["ready  pid", "slot node", "services"]);
        let none = lines(&screen(&none, (40, 7), true));
        assert_eq!(none[2..5], ["no supervisor runs on /x: start one with", "`bmctl start`", ""]);
        assert_eq!(none[5], "q ends");
    }

    #[test]
    fn services_that_are_gone_are_said_in_place_of_the_calls() {
        let deaf = model(Ok(status(1)), Err(Error::NoServices { dir: "/x".into() }));
        let shown = lines(&screen(&deaf, (80, 24), true));
        assert!(shown[7].starts_with("calls: the services of /x do not run now"), "{shown:#?}");
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        let model = model(Ok(status(1)), Ok(calls(2)));
        let colours = |on| {
            let buffer = screen(&model, (80, 24), on);
            let mut colours: Vec<Color> = buffer.content().iter().map(|cell| cell.fg).collect();
            colours.sort_unstable_by_key(|colour| format!("{colour:?}"));
            colours.dedup();
            colours
        };
        assert_eq!(colours(true), [Color::Green, Color::Reset, Color::Yellow]);
        assert_eq!(colours(false), [Color::Reset]);
    }
}
