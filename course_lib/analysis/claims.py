"""The claims of the four papers, each with the questions that can answer it; `verdicts` computes what they come to.

Sources: A, Liu et al., arXiv 2210.01719; B, Zhu & Omar, arXiv 2303.10757; C, Boes & Van hamme, arXiv 2106.05408; D,
Mushtaq, Su & Tran, Applied Acoustics 172, 107581, 2021. Figures are the papers' as published. A `why` is the second
sentence of the reason: it tells of the design, and is true whatever the rows say. Notebook: 12.
"""

from collections.abc import Callable

from course_lib.analysis import claim_parts
from course_lib.analysis import questions as claims
from course_lib.analysis.claim_parts import ALL, FINER, HALF, level, told, told_scenes
from course_lib.analysis.questions import LONG, SHORT
from course_lib.analysis.scene_questions import PAPER
from course_lib.analysis.verdicts import Claim, Evidence, Part

DIGITS, TIMING = "spoken digits", "timing probe"
LITE, SMALL, SPOKEN = claims.TRANSFER[0].where, claims.TWINS[0].where, claims.TWINS[-1].where
ALIKE = 100 * claims.EQUAL  # points: what may still be called as good
WIDTHS = "DiffRes better than equal widths"


def _clips(*questions: tuple[str, str, str]) -> Callable[[Evidence], list[Part]]:
    """The parts that ask these questions, `(question, where, in short)`, of rows on clips."""
    return lambda evidence: [evidence.clip(*question) for question in questions]


def _scenes(question: str, score: str) -> Callable[[Evidence], list[Part]]:
    """The part that asks one question of rows on scenes."""
    return lambda evidence: [evidence.scene(question, score, question.replace("better than", "over"))]


def _paper(score: str, streams: str, base: str = "spectral") -> str:
    """The paper's level of one input beside that of another, in % and points."""
    known = PAPER[score]
    return f"{known[base]:.2f} to {known[streams]:.2f}, {known[streams] - known[base]:+.2f}"


def _c4(evidence: Evidence) -> list[Part]:
    about = "auditory less auditory+visual"
    return [evidence.scene("auditory+visual better than auditory", "tagging", about, turned=True, margin=ALIKE)]


def _c7(evidence: Evidence) -> list[Part]:
    about = "spectral less all three"
    return [evidence.scene("all three better than spectral", "event", about, turned=True, margin=ALIKE)]


CLAIMS = (
    Claim(
        "A1", "a fixed temporal resolution is not optimal for all sounds; the hop moves accuracy and cost",
        "Windows as wide as 2.5 hops and a longer training are the controls: what a long hop costs may be what was "
        "never looked at, or not yet learnt.",
        claim_parts.a1, control=claim_parts.a1_control,
    ),
    Claim(
        "A2", "a layer before the classifier, trained with it, merges frames that matter less and keeps those that do",
        "Merging alone is not the claim, so it is set against the same merging with equal widths, and against its own "
        "widths dealt out to other frames, which know nothing.",
        _clips((WIDTHS, LONG, "over equal widths, ESC-10"), (WIDTHS, DIGITS, "spoken digits"), (WIDTHS, TIMING, TIMING),
               ("DiffRes better than its own widths dealt out to other frames", LONG, "over its own widths dealt out")),
        control=lambda e: told(e, (("DiffRes better than widths by energy", LONG), (WIDTHS, SHORT),
                                   ("DiffRes better than widths by rising levels", TIMING))),
    ),
    Claim(
        "A3", "as good as fixed resolution or better with at least 25 % less computation",
        "Asked are the conditions with at most three quarters of the MACs, the layer charged, trained to the longer "
        "budget; the shorter one came first, and equal widths are the control.",
        claim_parts.a3, "25 % less",
        control=lambda e: told(e, (("equal widths, half the frames, no worse than 10 ms", LONG), (HALF, SHORT))),
    ),
    Claim(
        "A4", "better from a finer input resolution at no more computation",
        "The finer frames are merged to the number that 10 ms gives, and the layer that does so is charged on top; "
        "whether there is more to hear between two of them is asked of a network that gets them all.",
        claim_parts.a4,
        control=lambda e: told(e, (("all frames of 5 ms better than all frames of 10 ms", LONG),
                                   ("DiffRes from 5 ms better than equal widths from 5 ms", LONG),
                                   (FINER.format("5"), SHORT))),
    ),
    Claim(
        "A5", "on five tasks: AudioSet, FSD50K, ESC-50, Speech Commands, NSynth",
        "None of the five sets is part of the reference study. Grids for four of them are ready to run, and AudioSet "
        "takes a manifest of the clips that one has.",
        ours=claim_parts.a5,
    ),
    Claim(
        "B1", "pooling along time and along both axes in stages: fewer tokens, wider features",
        "The stage table of the paper is not public, so this is counted on a reconstruction and shows how such a "
        "network is built, not theirs.",
        claim_parts.b1,
    ),
    Claim(
        "B2", "more accurate than AST without external training data",
        "The sets are others and the networks small and from scratch, so the direction is asked and not the size; a "
        "CNN of no more cost stands beside both.",
        _clips(*(("MAST better than AST", where, f"MAST over AST, {where}") for where in (SMALL, SPOKEN))),
        "+22.2 Kinetics-Sounds, +4.4 Epic-Kitchens-100, +4.7 VGGSound",
        control=lambda e: told(e, (
            *((f"a CNN of 7 layers better than {n}", SMALL) for n in ("MAST", "AST")),
            ("AST at 10 ms better than AST at 20 ms", SPOKEN),
        )),
    ),
    Claim(
        "B3", "slightly better than AST on a downloaded AudioSet",
        "AudioSet is no part of this study, for its sounds may not be passed on; whoever has them can ask with the "
        "grid for FSD50K. Over 20 % of the clips were missing in the paper's own copy.",
    ),
    Claim(
        "B4", "fewer multiply-accumulates and parameters than AST",
        "Our network is a reconstruction that was chosen to meet these figures, so this says that they can be met, and "
        "no more.",
        claim_parts.b4, "5 times, 42 %", control=claim_parts.b4_control,
    ),
    Claim(
        "B5", "more separable features by clustering measures and pictures",
        "The networks are the small twins of one fold and one start, and intervals come from halves of the recordings.",
        claim_parts.b5, control=claim_parts.b5_control,
    ),
    Claim(
        "C1", "tagging from the log-mel alone",
        "A level is of its scenes, and the paper's are others. What can be compared is what each input adds to it.",
        paper=f"{PAPER['tagging']['spectral']:.2f}", ours=level("tagging", "spectral"),
    ),
    Claim(
        "C2", "tagging from pretrained auditory features alone is better than from the log-mel",
        "The network from scratch learns from scenes of about a dozen recordings a class, so it has the most to gain.",
        _scenes("auditory better than spectral", "tagging"), _paper("tagging", "auditory"),
        control=level("tagging", "auditory"),
    ),
    Claim(
        "C3", "tagging from pretrained visual features alone is worse than from the log-mel",
        "Our pictures are drawings and photographs paired with sounds, and no video.",
        _scenes("spectral better than visual", "tagging"), _paper("tagging", "visual"),
        control=level("tagging", "visual"),
    ),
    Claim(
        "C4", "pictures add nothing to auditory features in tagging",
        "The margin is the two points of every question of no worse, and the pictures of our test are drawn by another "
        "hand than those that were learnt from.",
        _c4, _paper("tagging", "auditory+visual", "auditory"), control=level("tagging", "auditory+visual"),
    ),
    Claim(
        "C5", "tagging from all three is better than from the log-mel",
        "The controls take one input away at a time.",
        _scenes("all three better than spectral", "tagging"), _paper("tagging", ALL),
        control=lambda e: told_scenes(e, tuple((f"all three better than {n}", "tagging")
                                               for n in ("auditory", "spectral+auditory"))),
    ),
    Claim(
        "C6", "pretrained input improves detection in segments",
        "The baseline learns from weak labels alone, here as there.",
        _scenes("all three better than spectral", "segment"), _paper("segment", ALL),
        control=lambda e: told_scenes(e, (("spectral+auditory better than spectral", "segment"),)),
    ),
    Claim(
        "C7", "pretrained input does not improve events with their times",
        "Where a class is not recognised no boundary of it can be right, so a weak baseline gains by events too.",
        _c7, _paper("event", ALL),
        control=lambda e: told_scenes(e, (("spectral+auditory better than spectral", "event"),)),
    ),
    Claim(
        "C8", "the cause: pretrained features keep no time for boundaries",
        "If so, features and pictures that keep more time should find more events; finer features come from earlier "
        "layers, which know less, so time and knowledge are not turned by separate knobs.", claim_parts.c8,
        control=claim_parts.c8_control,
    ),
    Claim(
        "C9", "the recipe: a CRNN with mean teacher on weak and unlabelled scenes, 20 starts",
        "A recipe is no claim by itself, so what is asked is whether teacher and unlabelled scenes are worth having; "
        "our starts are fewer than twenty.", claim_parts.c9,
        control=lambda e: told_scenes(e, tuple(("unlabelled scenes better than none", s)
                                               for s in ("tagging", "segment", "event"))),
    ),
    Claim(
        "D1", "augmenting the clip is better than augmenting its picture",
        "Copies stay in the fold of their clip and the state is chosen on another fold, without which the order could "
        "be memory.",
        _clips(("clips augmented better than pictures augmented", LITE, "clips over pictures, Lite0 on ESC-10")),
        control=lambda e: told(e, tuple((f"{w} augmented better than neither", LITE) for w in ("clips", "pictures"))),
    ),
    Claim(
        "D2", "ResNet-152 with augmented clips",
        "The network's weights are fetched when asked for, and UrbanSound8K is not part of the reference study. The "
        "level stands beside what a leak is worth, and a grid is ready.",
        paper="ESC-10 99.04, UrbanSound8K 99.49",
        ours=claim_parts.lite(claims.LARGE, claims.WHOLE), control=claim_parts.leak,
    ),
    Claim(
        "D3", "DenseNet-161 with augmented clips, the lowest loss",
        "ESC-50 is not part of the reference study, nor is the network. A grid is ready for both.",
        paper="ESC-50 97.57, loss 0.0835",
    ),
    Claim(
        "D4", "CNNs of 7 and 9 layers learn from scratch, and augmentation curbs overfitting",
        "Overfitting is read where it shows first, in the loss on validation at the last step, the same for all; where "
        "that loss has not risen by then, there is nothing to curb.",
        claim_parts.d4, control=claim_parts.d4_control,
    ),
    Claim(
        "D5", "transfer from ImageNet beats training from scratch",
        "One network of the paper's kind, EfficientNet-Lite0, pretrained against fresh, with equal steps and one "
        "highest rate.",
        _clips(("fine-tuned better than from scratch", LITE, "fine-tuned over fresh, Lite0 on ESC-10")),
        control=lambda e: told(e, (("only the last layer learning better than from scratch", LITE),)),
    ),
)  # fmt: skip
