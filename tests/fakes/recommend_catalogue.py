"""The invented catalogue and users of the fake recommend API."""

from __future__ import annotations

from dataclasses import dataclass

from shared.api.recommend import ItemShape


@dataclass(frozen=True, slots=True)
class Told:
    """An item in short; ``x`` and ``y`` are its place on the map."""

    id: str
    title: str
    text: str
    category: str
    price: float | None
    x: float
    y: float
    available: bool = True

    @property
    def shape(self) -> ItemShape:
        return ItemShape(
            id=self.id,
            title=self.title,
            text=self.text,
            category=self.category,
            price=self.price,
            available=self.available,
            attributes={"material": "steel"} if self.category == "Kitchen" else {},
        )


ITEMS = (
    Told("tent", "Two-person ridge tent", "Pitches in five minutes and stands through a windy "
         "night above the tree line; the fly sheet dries while you have breakfast.",
         "Outdoors", 249.0, -1.9, 0.8),
    Told("stove", "Folding gas stove", "Boils half a litre in three minutes and folds to the size "
         "of a fist.", "Outdoors", 44.5, -1.6, 0.5),
    Told("bottle", "Insulated bottle, 0.7 l", "Keeps tea hot from the car park to the summit.",
         "Outdoors", 29.0, -1.3, 0.2),
    Told("headlamp", "Rechargeable headlamp", "Red light for the hut, white light for the path "
         "down.", "Outdoors", 39.9, -1.7, 1.0),
    Told("pack", "Day pack, 24 l", "A back that breathes and a pocket for the map.", "Outdoors",
         89.0, -2.1, 0.6),
    Told("poles", "Folding walking poles", "Three pieces, cork grips, and tips that hold on wet "
         "rock.", "Outdoors", 74.0, -2.2, 0.9),
    Told("pan", "Cast iron pan, 26 cm", "Heavy, even, and better every year; sears a steak and "
         "bakes a loaf.", "Kitchen", 58.0, 0.9, 1.4),
    Told("knife", "Chef's knife, 20 cm", "One blade for most of the work, with a spine that is "
         "rounded for the finger.", "Kitchen", 79.0, 1.2, 1.6),
    Told("board", "End-grain chopping board", "Kind to the edge of a knife, and heavy enough to "
         "stay put.", "Kitchen", 65.0, 1.1, 1.3),
    Told("kettle", "Gooseneck kettle", "Pours where you point it and says how hot it is.",
         "Kitchen", 69.0, 0.6, 1.1),
    Told("grinder", "Hand coffee grinder", "Forty turns for two cups, from coarse to fine without "
         "a click missed.", "Kitchen", 84.0, 0.5, 1.2),
    Told("dripper", "Ceramic coffee dripper", "One cone, one paper, four minutes.", "Kitchen",
         21.0, 0.4, 1.0, available=False),
    Told("camera", "Compact travel camera", "A lens that opens wide at dusk, in a body that fits "
         "a coat pocket.", "Photography", 649.0, 1.6, -0.9),
    Told("card", "Memory card, 128 GB", "Writes as fast as the camera shoots.", "Photography",
         34.0, 1.8, -1.1),
    Told("tripod", "Table tripod", "Stands on a wall, a rock or a loaf of bread.", "Photography",
         39.0, 1.5, -0.7),
    Told("strap", "Leather camera strap", "Wide where it lies on the shoulder, and quick to take "
         "off.", "Photography", 45.0, 1.4, -1.0),
    Told("filter", "Polarising filter", "Takes the glare off water and leaves.", "Photography",
         52.0, 1.9, -0.8),
    Told("lamp", "Reading lamp with an arm", "Warm light that comes to the page, and not to the "
         "one asleep beside you.", "Home", 92.0, -0.2, -1.3),
    Told("blanket", "Lambswool blanket", "Woven in a mill beside a river; warm without weight.",
         "Home", 119.0, -0.5, -1.1),
    Told("cushion", "Linen cushion", "Washed soft, filled with feathers.", "Home", 35.0, -0.4,
         -1.4),
    Told("clock", "Quiet wall clock", "Tells the time and says nothing about it.", "Home", 49.0,
         -0.1, -1.6),
    Told("vase", "Stoneware vase", "Thrown by hand, glazed the grey of a winter sea.", "Home",
         None, -0.6, -1.5),
    Told("novel", "The Lighthouse Ledger", "A novel of two keepers, one storm, and a debt that "
         "neither wrote down.", "Books", 14.0, -1.0, -0.4),
    Told("atlas", "An Atlas of Small Rivers", "Sixty rivers nobody sings about, drawn from source "
         "to mouth.", "Books", 32.0, -1.2, -0.2),
    Told("bread", "Bread, Slowly", "Forty loaves for people who have a day, and six for those who "
         "have an hour.", "Books", 27.0, 0.2, 0.6),
    Told("light", "Light at Dusk", "How photographers work in the last half hour of the day.",
         "Books", 38.0, 1.0, -0.5),
    Told("poncho", "Rain poncho", "Goes over you and the pack, and into its own pocket.",
         "Outdoors", 36.0, -1.8, 0.4),
)  # fmt: skip

NEW = frozenset({"poncho", "filter"})
"""Items without behaviour."""

DAY = 86_400
HISTORIES: dict[str, list[tuple[str, str, float]]] = {
    "mara": [
        ("view", "camera", 5 * DAY), ("cart", "camera", 5 * DAY - 600),
        ("purchase", "camera", 4 * DAY), ("view", "strap", 3 * DAY), ("view", "light", 2 * DAY),
        ("rating", "tripod", 30 * 3600), ("dislike", "clock", 5 * 3600), ("view", "atlas", 1200),
    ],
    "jonas": [
        ("view", "pan", 9 * DAY), ("purchase", "pan", 8 * DAY), ("view", "bread", DAY),
        ("view", "knife", 7200),
    ],
    "ines": [("view", "tent", 2 * DAY), ("click", "stove", 4000)],
}  # fmt: skip
"""What users did: type, item, and how many seconds ago, oldest first."""

POPULAR = {"bottle": 1.0, "novel": 0.9, "pan": 0.7, "camera": 0.6, "blanket": 0.5}
"""Shares of recent events, divided by the greatest; .2 where nothing is said."""
