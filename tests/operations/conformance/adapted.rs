//! A layer under an adapter: `onto + x Wᵀ + s (drop(x) Aᵀ) Bᵀ`, and its gradients.

use crate::layout::ROWS;
use crate::matrix::Matrix;
use crate::plain::dropout::dropout;
use crate::plain::linear::{linear, linear_backward, weight_gradient};
use crate::random::Draws;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::{Adapted, Backend, Below, Dropout, LowRank, Wanted};

/// Inputs, outputs and rank; ranks beyond eight, and sizes that no vector divides.
const SHAPES: [(usize, usize, usize); 6] =
    [(1, 1, 1), (64, 48, 8), (33, 130, 3), (130, 33, 9), (260, 300, 16), (8, 516, 40)];

const SCALE: f64 = 2.0;

/// A case's matrices.
struct Case {
    x: Matrix,
    dy: Matrix,
    onto: [Matrix; 2],
    weight: Matrix,
    a: Matrix,
    b: Matrix,
    sums: [Matrix; 2],
    mask: Option<(Dropout, Vec<u32>)>,
}

impl Case {
    fn new(draws: &mut Draws, rows: usize, (inputs, outputs, rank): (usize, usize, usize), dropped: bool) -> Case {
        let ids = (0..rows).flat_map(|_| [draws.word(), draws.below(6), draws.below(5000)]).collect();
        let mask = (Dropout { rate: 0.25, key: [17, draws.word()] }, ids);
        Case {
            x: draws.matrix(rows, inputs),
            dy: draws.matrix(rows, outputs),
            onto: [draws.matrix(rows, outputs), draws.matrix(rows, inputs)],
            weight: draws.weight(outputs, inputs),
            // What is trained is f32, with all its digits.
            a: Draws::new(u64::from(draws.word())).matrix(rank, inputs),
            b: Draws::new(u64::from(draws.word())).matrix(outputs, rank),
            sums: [draws.matrix(rank, inputs), draws.matrix(outputs, rank)],
            mask: dropped.then_some(mask),
        }
    }

    /// Every number its magnitude.
    fn sizes(&self) -> Case {
        let Case { x, dy, onto, weight, a, b, sums, mask } = self;
        let [x, dy, weight, a, b] = [x, dy, weight, a, b].map(Matrix::absolute);
        let [onto, sums] = [onto, sums].map(|pair| pair.each_ref().map(Matrix::absolute));
        Case { x, dy, onto, weight, a, b, sums, mask: mask.clone() }
    }

    fn drop(&self, x: &Matrix) -> Matrix {
        self.mask.as_ref().map_or(x.clone(), |(mask, ids)| dropout(x, *mask, ids))
    }

    fn forward(&self) -> Matrix {
        let low = linear(&self.drop(&self.x), &self.a);
        sum(&sum(&self.onto[0], &linear(&self.x, &self.weight), 1.0), &linear(&low, &self.b), SCALE)
    }

    fn backward(&self) -> Matrix {
        let through = self.drop(&linear_backward(&linear_backward(&self.dy, &self.b), &self.a));
        sum(&sum(&self.onto[1], &linear_backward(&self.dy, &self.weight), 1.0), &through, SCALE)
    }

    fn gradients(&self) -> [Matrix; 2] {
        let input = self.drop(&self.x);
        let (low, d_low) = (linear(&input, &self.a), linear_backward(&self.dy, &self.b));
        let of_a = sum(&self.sums[0], &weight_gradient(&d_low, &input), SCALE);
        [of_a, sum(&self.sums[1], &weight_gradient(&self.dy, &low), SCALE)]
    }
}

fn sum(x: &Matrix, y: &Matrix, scale: f64) -> Matrix {
    Matrix::from_fn(x.rows, x.columns, |row, column| x[(row, column)] + scale * y[(row, column)])
}

fn check<B: Backend>(subject: &Subject<B>, case: &Case) {
    let backend = &subject.backend;
    let [x, dy, onto, below] = [&case.x, &case.dy, &case.onto[0], &case.onto[1]].map(|matrix| subject.array(matrix));
    let weight = subject.weight(&case.weight);
    let [a, b] = [&case.a, &case.b].map(|matrix| subject.trained_weight(matrix));
    let ids = subject.indices(case.mask.as_ref().map_or(&[], |(_, ids)| ids));
    let masked = case.mask.as_ref().map(|(mask, _)| (*mask, &ids));
    let low_rank = LowRank { a: &a, b: &b, scale: SCALE as f32, dropout: masked };
    let layer = Adapted { weight: &weight, low_rank: Some(low_rank) };
    let sizes = case.sizes();

    let got = backend.adapted(&x, &layer, Some(&onto)).expect("a layer");
    subject.assert_close(Operation::Adapted, &got, &case.forward(), &sizes.forward());

    let sums = case.sums.each_ref().map(|matrix| subject.single(matrix));
    let wanted = Wanted { below: Below::Onto(below), low_rank: Some(sums) };
    let got = backend.adapted_backward(&dy, &x, &layer, wanted).expect("gradients");
    subject.assert_close(Operation::Adapted, &got.dx.expect("dx"), &case.backward(), &sizes.backward());
    let got = got.low_rank.expect("the adapter's gradients");
    for ((got, want), terms) in got.iter().zip(case.gradients()).zip(sizes.gradients()) {
        subject.assert_close(Operation::LowRankGradient, got, &want, &terms);
    }
}

pub fn adapted_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(160);
    for rows in ROWS {
        for shape in SHAPES {
            check(subject, &Case::new(&mut draws, rows, shape, false));
        }
    }
    // More rows than are summed at once.
    check(subject, &Case::new(&mut draws, 700, (40, 24, 8), false));
}

pub fn adapted_drops_its_input<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(161);
    for shape in SHAPES {
        check(subject, &Case::new(&mut draws, 17, shape, true));
    }
}

/// Whatever else is wanted, each is what it is alone; a layer without an adapter is a product.
pub fn adapted_backward_computes_what_is_wanted<B: Backend>(subject: &Subject<B>) {
    let backend = &subject.backend;
    let case = Case::new(&mut subject.draws(162), 17, (33, 48, 3), false);
    let [x, dy] = [&case.x, &case.dy].map(|matrix| subject.array(matrix));
    let weight = subject.weight(&case.weight);
    let [a, b] = [&case.a, &case.b].map(|matrix| subject.trained_weight(matrix));
    let low_rank = LowRank { a: &a, b: &b, scale: SCALE as f32, dropout: None };
    let layer = Adapted { weight: &weight, low_rank: Some(low_rank) };
    let sums = || [&case.a, &case.b].map(|matrix| backend.zeros(matrix.rows, matrix.columns).expect("zeros"));
    let run =
        |below, low_rank| backend.adapted_backward(&dy, &x, &layer, Wanted { below, low_rank }).expect("gradients");
    let both = run(Below::Alone, Some(sums()));
    let (dx, gradients) = (run(Below::Alone, None), run(Below::Unwanted, Some(sums())));
    let numbers = |array: Option<B::Array>| subject.numbers(&array.expect("it was wanted"));
    assert!(dx.low_rank.is_none() && gradients.dx.is_none());
    assert_eq!(numbers(both.dx), numbers(dx.dx));
    let pairs = both.low_rank.expect("wanted").into_iter().zip(gradients.low_rank.expect("wanted"));
    pairs.for_each(|(one, other)| assert_eq!(subject.numbers(&one), subject.numbers(&other)));

    let bare = Adapted::<B> { weight: &weight, low_rank: None };
    let wanted = Wanted { below: Below::Alone, low_rank: None };
    let got = backend.adapted_backward(&dy, &x, &bare, wanted).expect("a gradient");
    let product = backend.linear_backward(&dy, &weight).expect("a product");
    assert_eq!(numbers(got.dx), subject.numbers(&product));
    let got = backend.adapted(&x, &bare, None).expect("a layer");
    assert_eq!(subject.numbers(&got), subject.numbers(&backend.linear(&x, &weight).expect("a product")));
}

/// Layers that read one input, the last of them bare: each is what it is alone, and the input's gradient is all layers'.
pub fn layers_of_one_input_agree<B: Backend>(subject: &Subject<B>) {
    let backend = &subject.backend;
    for dropped in [false, true] {
        let mut draws = subject.draws(163);
        let x = draws.matrix(70, 33);
        let cases = [(33, 48, 8), (33, 16, 8), (33, 20, 3)].map(|shape| {
            let mut case = Case::new(&mut draws, 70, shape, dropped);
            case.onto = case.onto.map(|onto| Matrix::zeros(onto.rows, onto.columns));
            Case { x: x.clone(), ..case }
        });
        let is_bare = |index: usize| index == 2;
        let weights = cases.each_ref().map(|case| {
            (subject.weight(&case.weight), [&case.a, &case.b].map(|matrix| subject.trained_weight(matrix)))
        });
        let ids = cases.each_ref().map(|case| subject.indices(case.mask.as_ref().map_or(&[], |(_, ids)| ids)));
        let of_each = cases.iter().zip(&weights).zip(&ids).enumerate();
        let layers: Vec<Adapted<'_, B>> = of_each
            .map(|(index, ((case, (weight, [a, b])), ids))| {
                let dropout = case.mask.as_ref().map(|(mask, _)| (*mask, ids));
                let low_rank = LowRank { a, b, scale: SCALE as f32, dropout };
                Adapted { weight, low_rank: (!is_bare(index)).then_some(low_rank) }
            })
            .collect();
        let input = subject.array(&x);
        let got = backend.adapted_all(&input, &layers).expect("layers");
        assert_eq!(got.len(), 3);
        for (index, (got, case)) in got.iter().zip(&cases).enumerate() {
            let forward = |case: &Case| if is_bare(index) { linear(&case.x, &case.weight) } else { case.forward() };
            subject.assert_close(Operation::Adapted, got, &forward(case), &forward(&case.sizes()));
        }

        let dys = cases.iter().map(|case| subject.array(&case.dy)).collect();
        let sums = |case: &Case| case.sums.each_ref().map(|matrix| subject.single(matrix));
        let low_rank = (0..3).map(|index| (!is_bare(index)).then(|| sums(&cases[index]))).collect();
        let wanted = Wanted { below: Below::Alone, low_rank };
        let got = backend.adapted_all_backward(dys, &input, &layers, wanted).expect("gradients");
        let backward = |index: usize, case: &Case| match is_bare(index) {
            true => linear_backward(&case.dy, &case.weight),
            false => case.backward(),
        };
        let nothing = Matrix::zeros(70, 33);
        let (mut want, mut terms) = (nothing.clone(), nothing);
        for (index, case) in cases.iter().enumerate() {
            want = sum(&want, &backward(index, case), 1.0);
            terms = sum(&terms, &backward(index, &case.sizes()), 1.0);
        }
        subject.assert_close(Operation::Adapted, &got.dx.expect("dx"), &want, &terms);
        assert_eq!(got.low_rank.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
        for (got, case) in got.low_rank.iter().flatten().zip(&cases) {
            for ((got, want), terms) in got.iter().zip(case.gradients()).zip(case.sizes().gradients()) {
                subject.assert_close(Operation::LowRankGradient, got, &want, &terms);
            }
        }
    }
}
