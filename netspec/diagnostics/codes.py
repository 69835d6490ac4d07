"""The catalogue of diagnostics: every code that netspec gives, with its title, and the page that explains it.

A code never changes its meaning. NS0xx files, limits and the call; NS1xx syntax; NS2xx names; NS3xx values and arguments;
NS4xx shapes; NS5xx what a spec promises of itself; NS6xx weights; NS7xx building and running; NS9xx our own faults.
"""

from __future__ import annotations

from pathlib import Path

_PAGES = Path(__file__).with_name("explain")


def page(code: str) -> str:
    """The page of a code, as Markdown. Raises KeyError for a code that is not in the catalogue."""
    if code not in CODES:
        raise KeyError(code)
    return (_PAGES / f"{code}.md").read_text(encoding="utf-8")


#: every code, in order, with one line that says what it means
CODES: dict[str, str] = {
    # files, limits, the call
    "NS001": "there is no such file or shipped spec, or it cannot be read",
    "NS002": "the file is not UTF-8 text",
    "NS003": "the file is too large",
    "NS004": "expanding the spec passes a limit",
    "NS005": "an integer is too large",
    "NS006": "a loop or a list is too long",
    "NS007": "blocks or definitions are nested too deeply",
    "NS008": "imports go round in a circle, or nest too deeply",
    "NS009": "an import is not a `.net` file inside the project",
    "NS010": "the file has no net of that name",
    "NS011": "the file defines no net",
    "NS012": "the file has several nets, and none is named",
    "NS013": "the net has no parameter of that name",
    "NS014": "the network has no open size of that name",
    "NS015": "the command was called in a way that it does not understand",
    "NS016": "a package that this needs is not installed",
    "NS017": "the system refused",
    "NS018": "the catalogue has no such entry",
    "NS019": "the file is there already",
    "NS020": "a file cannot be written",
    # syntax
    "NS101": "the text does not follow the grammar",
    "NS102": "a bracket is not closed, or closes nothing",
    "NS103": "a string is not closed",
    "NS104": "a character has no meaning here",
    "NS105": "brackets or operators are nested too deeply",
    "NS106": "a number is written with too many digits, or too large",
    "NS107": "a statement stands where it cannot",
    "NS108": "a string or a label is written wrongly inside",
    # names
    "NS201": "nothing is called by this name",
    "NS202": "a name is defined twice",
    "NS203": "the imported file defines no such name",
    "NS204": "a value has no such property or output",
    "NS205": "there is no such item",
    "NS206": "`as` labels what is no layer",
    "NS207": "a label is made of the wrong characters",
    "NS208": "two layers have one label",
    "NS209": "a shared layer is applied outside of the block that made it",
    "NS210": "a net or block has no output",
    "NS211": "an input of the network has no shape",
    "NS212": "there is no such element type",
    "NS213": "a written size is no size",
    "NS214": "a variant is made of something that is no net",
    "NS215": "two outputs have one name",
    "NS216": "a `train` section is kept, and not run yet",
    # values and arguments
    "NS301": "a tensor is needed here",
    "NS302": "a layer is needed here",
    "NS303": "the arguments do not fit what is called",
    "NS304": "an operation does not take these operands",
    "NS305": "a computation has no result",
    "NS306": "a division leaves a remainder",
    "NS307": "a built-in function does not take these arguments",
    "NS308": "a range, a list or a count does not fit",
    "NS309": "a decision depends on a size that is open until the network runs",
    "NS310": "an argument has a value that it cannot have",
    "NS311": "the number of tensors does not fit the layer",
    "NS331": "the arguments of an initializer do not fit",
    "NS332": "an initializer does not suit the tensor",
    # shapes
    "NS401": "the number of axes does not fit",
    "NS402": "a size is too small for the operator",
    "NS403": "the element type does not fit",
    "NS404": "a size does not divide",
    "NS405": "weights would depend on an open size",
    "NS406": "there is no such axis, or it cannot be used",
    "NS407": "a normalization has one value to normalize over",
    "NS408": "a shared layer meets inputs that ask for other weights",
    "NS409": "there is no weight to reparametrize",
    "NS410": "a reshape changes the number of elements",
    "NS411": "the operands of an elementwise operation differ in size",
    "NS412": "tensors that are joined differ in size",
    "NS413": "a written type and its tensor disagree",
    "NS414": "the typical sizes break what `where` states",
    # promises
    "NS501": "what is expected does not hold",
    # weights
    "NS601": "there is no such initializer",
    "NS602": "a parameter cannot start as it is told to",
    "NS603": "a parameter's element type cannot be drawn at random",
    "NS604": "a value given for a parameter has another shape or type",
    "NS605": "a parameter was given no value",
    "NS610": "a rule of `init` selects nothing",
    "NS620": "a weights file cannot be read",
    "NS621": "a weights file is of no known kind",
    "NS622": "a weights file is damaged, or holds more than tensors",
    "NS623": "reading this weights file needs PyTorch",
    "NS624": "a weights file does not hold this network's weights",
    "NS625": "a weights file is refused for its size",
    # building and running
    "NS701": "a size cannot be computed from the shapes of the inputs",
    "NS702": "the model is too large for one ONNX file",
    "NS703": "the ONNX opset is not supported",
    "NS704": "ONNX cannot express this exactly",
    "NS705": "an `extern` names no code for this target",
    "NS706": "the code of an `extern` runs only where that is allowed",
    "NS707": "the code of an `extern` cannot be imported",
    "NS710": "the files given do not match the network's inputs",
    "NS711": "a data file is not there",
    "NS712": "a data file is of no kind that fits",
    "NS713": "a data file cannot be read",
    "NS720": "an input of the network is missing, or unknown",
    "NS721": "an input has the wrong element type",
    "NS722": "an input has the wrong shape",
    "NS723": "an input's sizes break a condition of the network",
    "NS730": "this onnxruntime has no such provider",
    "NS731": "a provider did not start",
    "NS732": "onnxruntime does not take the model",
    "NS733": "there is no such choice for a session",
    "NS734": "onnxruntime failed while running",
    "NS900": "netspec itself failed",
}
