"""An invented photo: a drawing that nobody can take for a child, and still knows again on a board of ten by ten."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageDraw

SIDE = 400  # pixels


def invented_photo() -> bytes:
    """Draw a boy in a red coat and a blue cap, as JPEG."""
    image = Image.new("RGB", (SIDE, SIDE), "#e8e2d0")
    pen = ImageDraw.Draw(image)
    pen.polygon([(60, 400), (110, 250), (290, 250), (340, 400)], fill="#c62828")  # coat
    pen.rectangle([190, 250, 210, 400], fill="#8e1b1b")  # zip
    pen.ellipse([115, 85, 285, 265], fill="#f0c8a0")  # face
    pen.pieslice([100, 35, 300, 235], 180, 360, fill="#1e50b4")  # cap
    pen.rectangle([92, 125, 308, 150], fill="#163c87")  # its brim
    pen.ellipse([158, 165, 182, 190], fill="#3c2814")
    pen.ellipse([218, 165, 242, 190], fill="#3c2814")
    pen.arc([165, 185, 235, 240], 20, 160, fill="#a04632", width=8)
    pen.text((12, 8), "VERZONNEN / INVENTED", fill="#5a5032", font_size=24)
    data = BytesIO()
    image.save(data, "JPEG", quality=90)
    return data.getvalue()
