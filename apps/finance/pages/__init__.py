"""The finance monitor's pages. Each file is a script that Streamlit runs from top to bottom."""
