"""The files of the public data sets: address pinned at a commit, sha256 and size of each.

Banking77 and CLINC150 come from their authors' repositories. The few-shot draws and Banking77-OOS
come from the repository that published them with arXiv:2106.04564. Its far test texts are the
file ``ood-oos/test/seq.in`` of CLINC-Single-Domain-OOS: the same 1,000 out-of-scope texts of
CLINC150, in the same order. ``docs/data.md`` says how the addresses were checked.
"""

from __future__ import annotations

from data_connectors.downloads import RemoteFile

_GITHUB = "https://raw.githubusercontent.com"
_POLYAI = f"{_GITHUB}/PolyAI-LDN/task-specific-datasets/57ec275d8078af65b7731c2a98be812d844a6d6b"
_CLINC = f"{_GITHUB}/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de"
_FEW_SHOT = f"{_GITHUB}/jianguoz/Few-Shot-Intent-Detection/e8b107dee13eb81ac1414ce83f0aa0fa87abce99"

BANKING77_TRAIN = RemoteFile(
    "banking77/train.csv",
    f"{_POLYAI}/banking_data/train.csv",
    "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
    839_073,
)
BANKING77_TEST = RemoteFile(
    "banking77/test.csv",
    f"{_POLYAI}/banking_data/test.csv",
    "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
    239_961,
)
CLINC150 = RemoteFile(
    "clinc150/data_full.json",
    f"{_CLINC}/data/data_full.json",
    "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
    2_495_390,
)


def _few_shot(path: str, sha256: str, size: int) -> RemoteFile:
    return RemoteFile(
        f"banking77_fewshot/{path}", f"{_FEW_SHOT}/Datasets/BANKING77/{path}", sha256, size
    )


def _oos(path: str, sha256: str, size: int, folder: str = "BANKING77-OOS") -> RemoteFile:
    return RemoteFile(
        f"banking77_oos/{path}", f"{_FEW_SHOT}/Datasets/{folder}/{path}", sha256, size
    )


TEN_SHOT = (
    _few_shot(
        "train_10/seq.in",
        "3b9f7eebee78ed65ccb37fbc94f1be381f59860c83a2f855c59836d2fdcc73b4",
        45_357,
    ),
    _few_shot(
        "train_10/label",
        "bbd4fc38a7bf95940f3d010453a7d3ed22641b0c211d76752f84c92421885b01",
        16_490,
    ),
)
FIVE_SHOT = (
    _few_shot(
        "train_5/seq.in",
        "09125b6aeb6852b07cf707c690fe23273217243ae259f49e26b0dc3f2f6d502b",
        22_316,
    ),
    _few_shot(
        "train_5/label",
        "e6be8a04aba7c583474bb20595e36e3fd68845121dac2840e320e6398e2de3d2",
        8_245,
    ),
)

IN_SCOPE = {
    "train": (
        _oos(
            "train/seq.in",
            "5ba97261ce844b33e85b2af8f271927699f2ab3d79f99daac074d22abd79453d",
            385_016,
        ),
        _oos(
            "train/label",
            "b4cfaddcc42b3fab9668972a0060753c692285dc8dff552c9fa779c428775370",
            136_192,
        ),
    ),
    "validation": (
        _oos(
            "valid/seq.in",
            "5dcde9139ca2134514ebfd7a6349a5173a8381d2502e67691a5f20b56cfa3af4",
            95_958,
        ),
        _oos(
            "valid/label",
            "80dc3cae40e49d97d36ef192d79ef1d3bdea242c5ff80954cdd9fc982096dcbe",
            34_740,
        ),
    ),
    "test": (
        _oos(
            "test/seq.in",
            "dc38952ebf63fcb1cdde63bd4fcd5cdf064cafa44fe4d13ab240640b4f06c5ca",
            120_049,
        ),
        _oos(
            "test/label",
            "8109bbb25c13d3ce28c6c9dd819dbba0e008e6726e707446b752004f2fceb33d",
            44_920,
        ),
    ),
}
"""Texts and labels of the 50 intents that stay in scope, by split."""

NEAR = {
    "validation": (
        _oos(
            "id-oos/valid/seq.in",
            "859a89edce0e726fc914e1bc20c3405cb3393cedc956a66959c62353e05f076a",
            24_977,
        ),
        _oos(
            "id-oos/valid/label_original",
            "67358e791938acbd6683d5f3fe9485e86a63d0f782dbca005664a055ddbf35d5",
            10_308,
        ),
    ),
    "test": (
        _oos(
            "id-oos/test/seq.in",
            "faeeb6fa5c97b249f234d2f468d37fe90a94ffdab5fa2812ad00ca201721f11c",
            49_926,
        ),
        _oos(
            "id-oos/test/label_original",
            "168afb80c2361305d716face0bb9df49d04b107afa15ac3834714fce5fb52f64",
            21_040,
        ),
    ),
}
"""Texts of the 27 intents that were held out, and the intent each has in Banking77, by split."""

FAR = {
    "validation": _oos(
        "ood-oos/valid/seq.in",
        "d1e14f587ab3a090392072be5a3dcf4255b8fbc0f85970f7e684db3ba6e84ccc",
        7_584,
    ),
    "test": _oos(
        "ood-oos/test/seq.in",
        "5602a8ce5239fe5f44d121f3b56c7bd42345ca60fa52c1f696b98ced108fc0d2",
        45_066,
        folder="CLINC-Single-Domain-OOS/credit_cards",
    ),
}
"""Out-of-scope texts of CLINC150, by split."""

_PHRASEBANK = (
    "https://media.githubusercontent.com/media/Adeleye-Emmanuel/Financial-News-Modelling/"
    "43eda59fcec67ed8ba122e186dc48f2a7d347a0c/FinancialPhraseBank-v1.0"
)


def _agreement(level: str, sha256: str, size: int) -> RemoteFile:
    name = f"Sentences_{level}Agree.txt"
    return RemoteFile(f"financial_phrasebank/{name}", f"{_PHRASEBANK}/{name}", sha256, size)


PHRASEBANK = {
    "all": _agreement(
        "All", "5fb370b3005b9a2759f708849a691ad2e4d2593d4c995c1afde229398a516594", 299_636
    ),
    "75": _agreement(
        "75", "a7ca39fb9dc60aed1c323ee635494aed4acdfc05e0349a9e74367502325303a4", 466_991
    ),
    "66": _agreement(
        "66", "725adb1de7d33977b0c2f63c33d5ad60e3c623b916856e18663915dfe47b6981", 580_254
    ),
    "50": _agreement(
        "50", "bb1b4df6de05d50b146f87a9d4d024b69f947066445f2384f014c3564c1612c8", 671_355
    ),
}
"""Sentences by how many annotators agreed, the most agreed first; each file holds those before."""

SENTFIN = RemoteFile(
    "sentfin/SEntFiN.csv",
    f"{_GITHUB}/DaraghK93/stockApp/8639dbf41e9fec7f20e9e1cd86ebcebd1b49080f/machineLearning/"
    "sentimentAnalysis/newsSentimentAnalysis/data/originalDatasets/dataset_1/dataset_1.csv",
    "05fed840b30b5a68eeac50471a9c621547048b10a214f5d6e4fe8dd21d63ecc5",
    1_180_878,
)
